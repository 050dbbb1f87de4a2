"""`python -m api` as its operator meets it."""

import asyncio
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import orjson
import pytest

from tests.integration.api_server import make_ticks, store
from tests.postgres import Database

ROOT = Path(__file__).resolve().parents[2]
NOWHERE = "postgresql://api:secret@127.0.0.1:1/minutebook"
REST_MEGABYTES = 120


def _environment(**settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("API_", "LOG_"))}
    return kept | {"PYTHONPATH": str(ROOT), "LOG_FORMAT": "json"} | settings


async def _run(folder: Path, *arguments: str, **settings: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api", *arguments, cwd=folder, env=_environment(**settings), stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(30):
        _, error = await process.communicate()
    return process.returncode, error.decode()


@asynccontextmanager
async def _serving(folder: Path, settings: Mapping[str, str]) -> AsyncIterator[tuple[Process, str]]:
    """Run it on a free port; yields the process and the URL that its log names."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api", cwd=folder, env=_environment(API_PORT="0", **settings), stdout=PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            while True:
                line = orjson.loads(await process.stdout.readline())
                if line["event"] == "api_listening":
                    break
            async with httpx.AsyncClient() as client:
                while True:
                    try:
                        await client.get(f"{line['url']}/health/live")
                        break
                    except httpx.TransportError:
                        await asyncio.sleep(0.05)
        yield process, line["url"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def _children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _is_there(process: int) -> bool:
    return Path(f"/proc/{process}").exists()


def _resident_megabytes(process: int) -> float:
    [line] = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1_024 / 1_000_000


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "API_DATABASE_URL is not set"),
        ({"API_DATABASE_URL": "mysql://x"}, "API_DATABASE_URL cannot be used: it must be a URL such as postgresql://"),
        ({"API_DATABASE_URL": NOWHERE, "API_PORT": "70000"}, "API_PORT cannot be used"),
        ({"API_DATABASE_URL": NOWHERE, "API_WORKERS": "0"}, "API_WORKERS cannot be used"),
        ({"API_DATABASE_URL": NOWHERE, "API_HOST": "no.such.host.invalid"}, "API_HOST"),
        ({"API_DATABASE_URL": NOWHERE, "LOG_LEVEL": "loud"}, "LOG_LEVEL cannot be used"),
    ],
)
async def test_a_bad_setting_is_one_sentence(tmp_path: Path, settings: dict[str, str], sentence: str) -> None:
    """On stderr, with exit code 2 and no traceback."""
    code, error = await _run(tmp_path, **settings)
    assert code == 2
    assert sentence in error
    assert "secret" not in error
    assert len(error.strip().splitlines()) == 1


async def test_a_bad_argument_is_one_sentence(tmp_path: Path) -> None:
    """There are none but --help."""
    code, error = await _run(tmp_path, "--port", "1", API_DATABASE_URL=NOWHERE)
    assert code == 2
    assert "--help" in error
    assert len(error.strip().splitlines()) == 1


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """With the setting to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, error = await _run(tmp_path, API_DATABASE_URL=NOWHERE, API_PORT=str(port))
    assert code == 2
    assert f"127.0.0.1:{port}" in error
    assert "API_PORT" in error
    assert len(error.strip().splitlines()) == 1


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads processes' memory from /proc")
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_and_stops_when_told(
    tmp_path: Path, database: Database, workers: int, number: signal.Signals
) -> None:
    """Within 10 s, with exit code 0, however many processes it has; each under its memory at rest."""
    await store(database.owner_url, make_ticks(2_000))
    settings = {"API_DATABASE_URL": database.api_url, "API_WORKERS": str(workers)}
    async with _serving(tmp_path, settings) as (process, url), httpx.AsyncClient() as client:
        for _ in range(10):
            response = await client.get(f"{url}/price/history?limit=100", headers={"Connection": "close"})
            assert (response.status_code, response.json()["count"]) == (200, 100)
        children = _children(process.pid)
        assert all(_resident_megabytes(member) < REST_MEGABYTES for member in (process.pid, *children))
        began = time.monotonic()
        process.send_signal(number)
        async with asyncio.timeout(10):
            assert await process.wait() == 0
        assert time.monotonic() - began < 10
        async with asyncio.timeout(5):
            while any(_is_there(member) for member in children):
                await asyncio.sleep(0.02)


async def test_it_starts_without_a_database(tmp_path: Path) -> None:
    """And says what is wrong to whoever asks."""
    async with _serving(tmp_path, {"API_DATABASE_URL": NOWHERE}) as (_, url), httpx.AsyncClient() as client:
        assert (await client.get(f"{url}/health")).status_code == 503
        assert (await client.get(f"{url}/price/latest")).status_code == 503
