"""Stops a Postgres that outlived the process which started it; it is found by its `postmaster.pid`."""

import asyncio
import contextlib
import os
import signal
import subprocess
from pathlib import Path

from deploy.local.errors import LocalError
from shared.logging import get_logger

log = get_logger(__name__)

# For each of the three signals: fast shutdown, immediate shutdown, kill.
PATIENCE_SECONDS = 6.0
_POLL_SECONDS = 0.05


async def stop_orphaned_server(data: Path) -> None:
    """Stop the server that still runs on `data`, if there is one.

    The caller has locked the folder, so no other run uses that server. Raises LocalError when it does not stop.
    """
    pid_file = data / "postmaster.pid"
    pid = _read_pid(pid_file)
    if pid is None:
        return
    if not _is_serving(pid, data):
        _replace_pid(pid_file)
        return
    log.warning("postgres_left_over", pid=pid, data=str(data))
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if await _has_ended_in_time(pid, data):
            _replace_pid(pid_file)
            return
    raise LocalError(f"A Postgres of an earlier run still serves {data} and does not stop: kill process {pid}.")


def _replace_pid(pid_file: Path) -> None:
    """Write our own process number into the `postmaster.pid` of a server that is gone.

    Postgres does not start while the number in that file belongs to a running process, which by now may be any
    process; it accepts its parent's number, which is ours. The other lines stay: from them Postgres finds out whether
    child processes of the old server still run.
    """
    try:
        lines = pid_file.read_text(encoding="utf-8").splitlines(keepends=True)
        pid_file.write_text("".join([f"{os.getpid()}\n", *lines[1:]]), encoding="utf-8")
    except FileNotFoundError:
        return


def _read_pid(pid_file: Path) -> int | None:
    try:
        first = pid_file.read_text(encoding="utf-8").split("\n", 1)[0].strip()
    except FileNotFoundError:
        return None
    return int(first) if first.isdigit() and int(first) > 0 else None


async def _has_ended_in_time(pid: int, data: Path) -> bool:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while _is_serving(pid, data):  # noqa: ASYNC110 - a process that is not our child sends no event
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        return False
    return True


def _is_serving(pid: int, data: Path) -> bool:
    """Whether the process runs and serves `data`; another process may have been given its number since."""
    if Path("/proc/self/cwd").exists():
        try:
            return Path(f"/proc/{pid}/cwd").samefile(data)
        except OSError:
            return False
    shown = subprocess.run(  # noqa: S603 - a number, and no shell
        ["ps", "-o", "command=", "-p", str(pid)],  # noqa: S607 - wherever the system keeps it
        capture_output=True,
        text=True,
        check=False,
    )
    return str(data) in shown.stdout
