"""Shows that a service without a port is alive: its event loop touches a file, and no longer when it hangs.

`python -m shared.health` asks, by exit code. It runs every few seconds, so it imports no more than it must.
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
# A loop that has been busy for so long hangs; work on the CPU has threads and processes of its own.
SILENT_SECONDS_MAX = 30.0


@asynccontextmanager
async def shown_alive(file: Path | None) -> AsyncIterator[None]:
    """Touch the file now and then, and remove it at the end; without a file, do nothing."""
    if file is None:
        yield
        return
    try:
        file.touch()  # noqa: ASYNC240 - a file in memory: faster than asking a thread
    except OSError as error:
        raise SettingsError(f"{VARIABLE}: {file} cannot be written ({error.strerror}); name another file.") from error
    touching = asyncio.create_task(_keep_touching(file), name="health")
    try:
        yield
    finally:
        touching.cancel()
        file.unlink(missing_ok=True)  # noqa: ASYNC240 - for that reason


async def _keep_touching(file: Path) -> None:
    while True:
        await asyncio.sleep(TOUCH_SECONDS)
        # A disk that is full for a moment is no reason to be restarted, nor one to stop showing oneself for good.
        with suppress(OSError):
            file.touch()  # noqa: ASYNC240 - a thread would do it for a loop that hangs


def complaint(file: Path, now: float) -> str | None:
    """Say what is wrong with the service behind the file; None when it lives."""
    try:
        silent_seconds = now - file.stat().st_mtime
    except OSError as error:
        return f"The service has not shown itself in {file}: {error.strerror}."
    if silent_seconds > SILENT_SECONDS_MAX:
        return f"The service has been silent for {silent_seconds:.0f} s."
    return None


def main() -> int:
    """Return the exit code: 0 alive, 1 not, 2 where the variable is missing."""
    file = os.environ.get(VARIABLE)
    if not file:
        sys.stderr.write(f"{VARIABLE} is not set: give it the file that the service was started with.\n")
        return 2
    reason = complaint(Path(file), time.time())
    if reason:
        sys.stderr.write(f"{reason}\n")
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
