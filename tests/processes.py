"""Processes as the tests see them: whether they live, and the commands that the tests start."""

import asyncio
import contextlib
import http.client
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]


def is_alive(process: int) -> bool:
    """Whether the process runs; one that has ended but was not waited for by its parent does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in {"Z", "X"}


def answers(host: str, port: int, path: str) -> bool:
    """Whether a server that may still be starting says 200 at a path."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def descendants(process: int) -> list[int]:
    """A process and all that it started, and they in turn, itself first."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            parents[int(folder.name)] = int((folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    found = [process]
    for one in found:
        found += [number for number, parent in parents.items() if parent == one]
    return found


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until the condition holds; raises TimeoutError if it does not come to."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def python(
    *arguments: str,
    prefix: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run this Python with the project importable, in a session of its own; killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        *prefix,
        sys.executable,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        cwd=folder,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        # Reads what is left too, so that the pipes are closed.
        await process.communicate()
