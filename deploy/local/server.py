"""Starts, watches and stops the process of one Postgres server."""

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from deploy.local.cluster import Cluster, make_server_environment
from deploy.local.errors import LocalError
from shared.logging import get_logger

log = get_logger(__name__)

_FAST_STOP_SECONDS = 10.0
_IMMEDIATE_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.02
_LOG_BYTES_KEPT = 4_000_000


@dataclass(frozen=True)
class FailedStart:
    """What a server wrote that ended before it was ready."""

    text: str

    @property
    def port_is_taken(self) -> bool:
        """Whether the server ended because its port was taken."""
        return "could not create any TCP/IP sockets" in self.text or "could not bind" in self.text

    @property
    def is_still_ending(self) -> bool:
        """Whether the server ended because processes of an earlier server still use the data."""
        return "pre-existing shared memory block" in self.text

    @property
    def reason(self) -> str:
        """The last FATAL or PANIC message, else the last line."""
        lines = self.text.strip().splitlines() or ["it wrote nothing"]
        fatal = [line for line in lines if "FATAL:" in line or "PANIC:" in line]
        return fatal[-1].partition(":  ")[2] or fatal[-1] if fatal else lines[-1]


class Server:
    """A server's process; it writes its log to a file, so that no pipe has to be read."""

    def __init__(self, process: asyncio.subprocess.Process, cluster: Cluster, log_path: Path, log_start: int) -> None:
        self._process = process
        self._cluster = cluster
        self._log_path = log_path
        self._log_start = log_start

    @classmethod
    async def launch(cls, cluster: Cluster, settings: Mapping[str, str], log_path: Path) -> Self:
        """Start the process; `wait_until_ready` says when it accepts connections."""
        _rotate_log(log_path)
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        # SIGINT is Postgres's fast shutdown.
        command = cluster.make_command("postgres", "-D", str(cluster.data), *arguments, death_signal="INT")
        with log_path.open("ab") as server_log:
            log_start = server_log.tell()
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=server_log,
                stderr=server_log,
                cwd="/",
                env=make_server_environment(),
                # In a session of its own, a Ctrl-C on the terminal does not reach it; we stop it in its turn.
                start_new_session=True,
                **cluster.account.make_popen_options(),  # type: ignore[arg-type] # mypy sees no keys in it
            )
        return cls(process, cluster, log_path, log_start)

    @property
    def pid(self) -> int:
        """The process number."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    async def wait_until_ready(self, deadline: float) -> FailedStart | None:
        """Wait until the server accepts connections; returns None, or what it wrote when it ended before.

        Raises LocalError at `deadline`, which is a time of the event loop's clock.
        """
        while self.is_running:
            if self._says_ready():
                return None
            if asyncio.get_running_loop().time() > deadline:
                raise LocalError(f"Postgres does not become ready in time: see its log, {self._log_path}.")
            await asyncio.sleep(_POLL_SECONDS)
        with self._log_path.open("rb") as server_log:
            server_log.seek(self._log_start)
            return FailedStart(server_log.read().decode(errors="replace"))

    async def wait(self) -> int:
        """Wait until the process ends; returns its exit code."""
        return await self._process.wait()

    def kill(self) -> None:
        """Kill the process, as a crash would."""
        if self.is_running:
            self._process.kill()

    async def stop(self) -> None:
        """Stop the server: by a fast shutdown, after its time-out by an immediate one, and then by killing it."""
        for number, seconds in (
            (signal.SIGINT, _FAST_STOP_SECONDS),
            (signal.SIGQUIT, _IMMEDIATE_STOP_SECONDS),
            (signal.SIGKILL, _IMMEDIATE_STOP_SECONDS),
        ):
            if not self.is_running:
                return
            self._process.send_signal(number)
            try:
                # Not asyncio.timeout, which early releases of Python 3.11 break in a task that is being cancelled.
                await asyncio.wait_for(self._process.wait(), seconds)
            except TimeoutError:
                log.warning("postgres_does_not_end", signal=number.name, waited_seconds=seconds)

    def _says_ready(self) -> bool:
        """Whether the server's `postmaster.pid`, which it writes line by line, says that it accepts connections."""
        try:
            lines = (self._cluster.data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(self.pid) and lines[7].strip() == "ready"


def _rotate_log(log_path: Path) -> None:
    """Start a new log once the old one is too long; the old one is kept as `….1`."""
    if log_path.exists() and log_path.stat().st_size > _LOG_BYTES_KEPT:
        log_path.rename(log_path.with_name(f"{log_path.name}.1"))
