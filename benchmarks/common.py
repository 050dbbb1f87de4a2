"""Shared parts of the benchmarks: a Postgres with the schema, a simulated exchange, processes and their memory."""

import asyncio
import json
import os
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from deploy.local.postgres import running
from shared.database.migrate import ROLES, migrate

ROOT = Path(__file__).resolve().parents[1]
SYMBOL = "BTCUSDT"
READY_SECONDS = 60.0


@dataclass(frozen=True)
class Database:
    """A migrated database: the URLs of its owner and of each role."""

    owner_url: str
    urls: Mapping[str, str]


@asynccontextmanager
async def database() -> AsyncIterator[Database]:
    """Run an embedded Postgres with the schema and no rows, durable as in production; it is removed after the block."""
    with tempfile.TemporaryDirectory(prefix="minutebook-bench-") as folder:
        async with running(Path(folder) / "postgres") as server:
            passwords = {role: secrets.token_hex(8) for role in ROLES}
            await migrate(server.url(), passwords)
            yield Database(server.url(), {role: server.url(role, passwords[role]) for role in ROLES})


@asynccontextmanager
async def process(*arguments: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `python -m …` with JSON logs on stdout while the block runs."""
    running_process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
        env=os.environ | {"LOG_FORMAT": "json"} | environment,
        limit=1 << 20,
    )
    try:
        yield running_process
    finally:
        if running_process.returncode is None:
            running_process.terminate()
        await running_process.communicate()


@asynccontextmanager
async def exchange(*arguments: str) -> AsyncIterator[str]:
    """Run the simulator on a free port; yields its URL."""
    async with process("simulator", "--port", "0", "--log-format", "json", *arguments) as simulator:
        yield (await read_until_event(simulator, "simulator_ready"))["rest"]


async def read_until_event(source: asyncio.subprocess.Process, event: str) -> dict[str, str]:
    """Read a process's log up to an event, and return that; raises RuntimeError when the process ends before."""
    assert source.stdout
    async with asyncio.timeout(READY_SECONDS):
        async for line in source.stdout:
            entry = json.loads(line) if line.startswith(b"{") else {}
            if entry.get("event") == event:
                return {name: str(value) for name, value in entry.items()}
    raise RuntimeError(f"the process ended without {event}")


def make_collector_environment(database_: Database, exchange_url: str) -> dict[str, str]:
    """Return the settings of a collector of the simulated exchange."""
    return {
        "COLLECTOR_DATABASE_URL": database_.urls["collector"],
        "COLLECTOR_SYMBOLS": SYMBOL,
        "COLLECTOR_SOURCE": "simulated",
        "COLLECTOR_REST_URLS": exchange_url,
        "COLLECTOR_STREAM_URL": exchange_url.replace("http", "ws", 1),
        "COLLECTOR_ARCHIVE_URL": exchange_url,
    }


async def get_bytes(session: aiohttp.ClientSession, url: str) -> bytes:
    """Return the body of an answer; raises aiohttp.ClientError for an error status."""
    async with session.get(url) as answer:
        answer.raise_for_status()
        return await answer.read()


def measure_memory_mb(pid: int, *, peak: bool = False) -> float:
    """Return a process's resident memory in MB (10^6 bytes), now or at its peak."""
    name = "VmHWM" if peak else "VmRSS"
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError(f"/proc/{pid}/status has no {name}")
