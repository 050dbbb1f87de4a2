"""A Postgres that outlived the process which started it: found by its note, and ended before the next start."""

import asyncio
import contextlib
import os
import signal
import subprocess
from pathlib import Path

from deploy.local.errors import LocalError
from shared.logging import get_logger

log = get_logger(__name__)

# For each of three ways to end it: in order, at once, and by force.
PATIENCE_SECONDS = 6.0
_POLL_SECONDS = 0.05


async def stop_leftover(data: Path) -> None:
    """End the server that still runs on `data`, if one does; the caller holds the folder's lock, so nobody needs it.

    Raises LocalError when it cannot be ended.
    """
    note = data / "postmaster.pid"
    pid = _noted_pid(note)
    if pid is None:
        return
    if not _serves(pid, data):
        _disown(note)
        return
    log.warning("postgres_left_over", pid=pid, data=str(data))
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if await _ended(pid, data):
            _disown(note)
            return
    raise LocalError(f"A Postgres of an earlier run still serves {data} and does not end: end process {pid}.")


def _disown(note: Path) -> None:
    """Put our own process into a note whose server is gone.

    A number in it that meanwhile belongs to another process would keep Postgres from starting; our own, its parent's,
    does not. The rest of the note stays, because by it Postgres finds out whether processes of that server still run.
    """
    try:
        lines = note.read_text(encoding="utf-8").splitlines(keepends=True)
        note.write_text("".join([f"{os.getpid()}\n", *lines[1:]]), encoding="utf-8")
    except FileNotFoundError:
        return


def _noted_pid(note: Path) -> int | None:
    try:
        first = note.read_text(encoding="utf-8").split("\n", 1)[0].strip()
    except FileNotFoundError:
        return None
    return int(first) if first.isdigit() and int(first) > 0 else None


async def _ended(pid: int, data: Path) -> bool:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while _serves(pid, data):  # noqa: ASYNC110 - a process that is not our child sends no event
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        return False
    return True


def _serves(pid: int, data: Path) -> bool:
    """Whether the process is a Postgres at work in `data`, and neither ended nor another one with its number."""
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
