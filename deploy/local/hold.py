"""A folder held by one process at a time, until that process ends, however it ends."""

import fcntl
import os
from pathlib import Path
from typing import IO

from deploy.local.errors import InUseError, LocalError


def hold(folder: Path) -> IO[str]:
    """Take the folder, made if need be, until the file returned is closed or this process ends.

    Raises InUseError, which names the process that has it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+", encoding="ascii")
    except OSError as error:
        raise LocalError(f"Nothing can be kept in {folder}: {error.strerror} ({error.filename}).") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        holder = lock.read().strip()
        lock.close()
        raise InUseError(
            f"{folder} is in use by another run{f' (process {holder})' if holder else ''}: stop that one first."
        ) from error
    lock.seek(0)
    lock.truncate()
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
