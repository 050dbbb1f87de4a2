"""Shows that a service without a port is alive: its event loop touches a file, and stops when it hangs.

`python -m shared.health` checks the file and exits 0 or 1. It runs every few seconds, so it imports little.
"""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from shared.errors import SettingsError

VARIABLE = "HEALTH_FILE"
TOUCH_SECONDS = 5.0
# An event loop that is busy for so long hangs, since CPU work runs in threads and processes of its own.
SILENT_SECONDS_MAX = 30.0


@asynccontextmanager
async def shown_alive(file: Path | None) -> AsyncIterator[None]:
    """Touch the file every few seconds while the block runs, then remove it; without a file, do nothing."""
    if file is None:
        yield
        return
    try:
        file.touch()  # noqa: ASYNC240 - the file is in memory, so this is faster than a thread
    except OSError as error:
        raise SettingsError(f"{VARIABLE}: {file} cannot be written ({error.strerror}); name another file.") from error
    touching = asyncio.create_task(_keep_touching(file), name="health")
    try:
        yield
    finally:
        touching.cancel()
        file.unlink(missing_ok=True)  # noqa: ASYNC240 - the same


async def _keep_touching(file: Path) -> None:
    while True:
        await asyncio.sleep(TOUCH_SECONDS)
        # A disk that is full for a moment must neither end the service nor stop the touching.
        with suppress(OSError):
            file.touch()  # noqa: ASYNC240 - a thread would touch it even when the loop hangs


def find_problem(file: Path, now: float) -> str | None:
    """Return what is wrong with the service that touches the file; None when it is alive."""
    try:
        silent_seconds = now - file.stat().st_mtime
    except OSError as error:
        return f"The service has not touched {file}: {error.strerror}."
    if silent_seconds > SILENT_SECONDS_MAX:
        return f"The service has not touched {file} for {silent_seconds:.0f} s: it hangs or has ended."
    return None


def main() -> int:
    """Return the exit code: 0 when the service is alive, 1 when it is not, 2 when HEALTH_FILE is not set."""
    file = os.environ.get(VARIABLE)
    if not file:
        sys.stderr.write(f"{VARIABLE} is not set: set it to the file that the service was started with.\n")
        return 2
    reason = find_problem(Path(file), time.time())
    if reason:
        sys.stderr.write(f"{reason}\n")
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
