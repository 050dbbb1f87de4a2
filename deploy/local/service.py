"""Runs a service as a child process: shows its lines, restarts it when it ends, and stops it when we stop."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from deploy.local.account import find_own_account
from deploy.local.console import Console
from shared.backoff import Backoff

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
# After a run of this length the next pause is the shortest again.
_GOOD_RUN_SECONDS = 60.0
_LAST_LINES_SECONDS = 2.0
_CHUNK_BYTES = 65_536


@dataclass(frozen=True)
class Service:
    """A command and its environment.

    When it has a `role`, the supervisor adds that role's database URL to the environment. When it has a URL
    `answers_at`, later services start once that answers. It is killed when it has not ended `stop_seconds` after
    SIGTERM.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    role: str = ""
    answers_at: str = ""
    stop_seconds: float = 10.0


class RestartPauses:
    """The pauses before restarts: each is twice as long, up to a bound, and a good run makes the next one short."""

    def __init__(self) -> None:
        # Without jitter: nothing else competes for the restart, and the console shows whole seconds.
        self._backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, jitter=0.0)

    def next_after(self, ran_seconds: float) -> float:
        """Return the seconds to pause after a run of `ran_seconds`."""
        if ran_seconds >= _GOOD_RUN_SECONDS:
            self._backoff.reset()
        return self._backoff.next()


@asynccontextmanager
async def keep_services_running(services: Sequence[Service], console: Console) -> AsyncIterator[None]:
    """Keep all services running while the block runs, then stop them together."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_run_with_restarts(service, console), name=service.name) for service in services]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


def describe_exit(code: int) -> str:
    """Describe how a process ended; a negative exit code is the signal that ended it."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


async def _run_with_restarts(service: Service, console: Console) -> None:
    pauses = RestartPauses()
    now = asyncio.get_running_loop().time
    while True:
        started = now()
        try:
            outcome = describe_exit(await _run(service, console))
        except OSError as error:
            outcome = f"{error.strerror}: {error.filename}"
        pause = pauses.next_after(now() - started)
        console.say(f"{service.name} ended ({outcome}); starting it again in {pause:.0f} s.")
        await asyncio.sleep(pause)


async def _run(service: Service, console: Console) -> int:
    """Run the service until it ends, and return its exit code; when cancelled, stop it first."""
    process = await asyncio.create_subprocess_exec(
        *find_own_account().make_command(service.command, death_signal="TERM"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=service.environment,
        # In a session of its own, a Ctrl-C on the terminal does not reach it; we stop it in its turn.
        start_new_session=True,
    )
    lines = asyncio.create_task(_show_lines(process, service.name, console), name=f"{service.name} lines")
    try:
        return await process.wait()
    finally:
        await _stop(process, service, console)
        # Show its last lines, but do not wait for a grandchild that still holds the pipe open.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(lines, _LAST_LINES_SECONDS)


async def _show_lines(process: asyncio.subprocess.Process, name: str, console: Console) -> None:
    """Show what the process writes, line by line; a very long line is shown in pieces."""
    assert process.stdout is not None  # noqa: S101 - the process was started with a pipe
    unfinished = b""
    while chunk := await process.stdout.read(_CHUNK_BYTES):
        *whole, unfinished = (unfinished + chunk).split(b"\n")
        if len(unfinished) > _CHUNK_BYTES:
            whole.append(unfinished)
            unfinished = b""
        for line in whole:
            console.show(name, line.decode(errors="replace").rstrip("\r"))
    if unfinished:
        console.show(name, unfinished.decode(errors="replace"))


async def _stop(process: asyncio.subprocess.Process, service: Service, console: Console) -> None:
    """Stop the process within a bound, and kill what is left of its process group."""
    if process.returncode is None:
        process.terminate()
        try:
            # Not asyncio.timeout, which early releases of Python 3.11 break in a task that is being cancelled.
            await asyncio.wait_for(process.wait(), service.stop_seconds)
        except TimeoutError:
            console.say(f"{service.name} has not ended {service.stop_seconds:.0f} s after SIGTERM; killing it.")
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
