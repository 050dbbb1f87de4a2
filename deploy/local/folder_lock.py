"""Locks a folder for one process; the lock ends with the process, even when that is killed."""

import fcntl
import os
from pathlib import Path
from typing import IO

from deploy.local.errors import InUseError, LocalError


def lock_folder(folder: Path) -> IO[str]:
    """Lock the folder, and create it if it is missing; the lock lasts until the returned file is closed.

    Raises InUseError, with the other process's number, when another process has the lock, and LocalError when the
    folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+", encoding="ascii")
    except OSError as error:
        raise LocalError(
            f"Nothing can be kept in {folder} ({error.strerror}: {error.filename}): make it a writable folder."
        ) from error
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
