"""One service as a child process: started, its lines shown, started again when it ends, and ended when we do."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from deploy.local.account import own_account
from deploy.local.console import Console

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
# A service that ran so long before it ended is taken to be well: the pause begins small again.
_WELL_AFTER_SECONDS = 60.0
_KILLED_SECONDS = 2.0
_CHUNK_BYTES = 65_536


@dataclass(frozen=True)
class Service:
    """What is run: a command with its whole environment, less the URL of the database for its `role`, if it has one.

    A service with `answers_at`, a URL, has started when that answers; what starts after it relies on it. One that has
    not ended `stop_seconds` after SIGTERM is killed.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    role: str = ""
    answers_at: str = ""
    stop_seconds: float = 10.0


class Pauses:
    """How long to wait before a restart: twice as long each time, up to a bound, until the service ran well."""

    def __init__(self) -> None:
        self._next_seconds = _FIRST_PAUSE_SECONDS

    def after(self, ran_seconds: float) -> float:
        """Return the pause after a run of that length."""
        if ran_seconds >= _WELL_AFTER_SECONDS:
            self._next_seconds = _FIRST_PAUSE_SECONDS
        pause, self._next_seconds = self._next_seconds, min(self._next_seconds * 2, _LONGEST_PAUSE_SECONDS)
        return pause


@asynccontextmanager
async def keeping(services: Sequence[Service], console: Console) -> AsyncIterator[None]:
    """Keep all of the services running as long as the block runs; they are ended together."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_keep(service, console), name=service.name) for service in services]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


def ending(code: int) -> str:
    """Say how a process ended, from its exit code; a negative one is the signal that ended it."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


async def _keep(service: Service, console: Console) -> None:
    pauses = Pauses()
    now = asyncio.get_running_loop().time
    while True:
        started = now()
        try:
            outcome = ending(await _run(service, console))
        except OSError as error:
            outcome = f"{error.strerror}: {error.filename}"
        pause = pauses.after(now() - started)
        console.say(f"{service.name} ended ({outcome}); starting it again in {pause:.0f} s.")
        await asyncio.sleep(pause)


async def _run(service: Service, console: Console) -> int:
    """Run the service until it ends by itself, and return its exit code; cancelled, end it first."""
    process = await asyncio.create_subprocess_exec(
        *own_account().command(service.command, death_signal="TERM"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=service.environment,
        # A Ctrl-C on the terminal is for us; we end the service in its turn.
        start_new_session=True,
    )
    lines = asyncio.create_task(_show_lines(process, service.name, console), name=f"{service.name} lines")
    try:
        return await process.wait()
    finally:
        await _end(process, service, console)
        # The last lines are worth a moment; a process that escaped with the pipe is not worth more.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(lines, _KILLED_SECONDS)


async def _show_lines(process: asyncio.subprocess.Process, name: str, console: Console) -> None:
    """Show what the process writes, line by line; a line without an end is shown piece by piece."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    begun = b""
    while chunk := await process.stdout.read(_CHUNK_BYTES):
        *whole, begun = (begun + chunk).split(b"\n")
        if len(begun) > _CHUNK_BYTES:
            whole.append(begun)
            begun = b""
        for line in whole:
            console.show(name, line.decode(errors="replace").rstrip("\r"))
    if begun:
        console.show(name, begun.decode(errors="replace"))


async def _end(process: asyncio.subprocess.Process, service: Service, console: Console) -> None:
    """End the process within a bound, and whatever it left in its group."""
    if process.returncode is None:
        process.terminate()
        try:
            # Not asyncio.timeout, which early releases of Python 3.11 break in a task that is being cancelled.
            await asyncio.wait_for(process.wait(), service.stop_seconds)
        except TimeoutError:
            console.say(
                f"{service.name} has not ended {service.stop_seconds:.0f} s after it was asked to; it is killed."
            )
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
