"""`python -m deploy.local`, which `make run` and `make demo` start: the whole product on one machine."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.ports import find_free_port
from tests.processes import is_alive, python, until

PATIENCE_SECONDS = 60.0
FORECAST_SECONDS = 110.0


class Run:
    """A run of the command, with what it has written so far."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.shown = ""

    async def read(self) -> None:
        """Collect what it writes until it ends."""
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.shown += line.decode()

    async def says(self, text: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until it has said so."""
        try:
            await until(lambda: text in self.shown or self.process.returncode is not None, seconds)
        finally:
            assert text in self.shown, self.shown

    async def interrupt(self) -> int:
        """Press Ctrl-C, and return the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.process.wait()


@asynccontextmanager
async def command(mode: str, folder: Path, port: int, **settings: str) -> AsyncIterator[Run]:
    """Run the command in `folder` until the block ends."""
    environment = {"API_PORT": str(port), **settings}
    async with python("-m", "deploy.local", mode, environment=environment, folder=folder) as process:
        run = Run(process, port)
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(run.read())
            try:
                yield run
            finally:
                if process.returncode is None:
                    await run.interrupt()
                await asyncio.wait((reading,))


async def get(url: str, **query: str) -> Any:
    """Return the JSON of a route."""
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.get(url, params=query)
        response.raise_for_status()
        return response.json()


def descendants(process: int) -> set[int]:
    """The processes that come from this one, those in sessions of their own included."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    found = {process}
    while True:
        more = {child for child, parent in parents.items() if parent in found} | found
        if more == found:
            return found
        found = more


@pytest.mark.timeout(300)
async def test_demo_shows_two_weeks_offline_and_keeps_them_for_the_next_run(tmp_path: Path) -> None:
    """From an empty folder to answers, to Ctrl-C with nothing left running, to the same record again."""
    port = find_free_port()
    async with command("demo", tmp_path, port) as run:
        await run.says("The newest tick: BTCUSDT ")
        assert f"The API is at {run.url}, its documentation at {run.url}/docs" in run.shown
        latest = await get(f"{run.url}/price/latest")
        assert latest["source"] == "simulated"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await get(f"{run.url}/price/stats", window="13d"))["completeness"] < 1:
                await asyncio.sleep(0.2)
        day = await get(f"{run.url}/price/history", start="10d", limit="1000", features="none")
        assert {row["source"] for row in day["data"]} == {"simulated"}
        # It has trained on all of the two weeks, in an MLflow of its own.
        await run.says("forecasts_begin", FORECAST_SECONDS)
        assert "MLflow, with the models and how they did, is at http://127.0.0.1:" in run.shown

        async with command("demo", tmp_path, port) as second:
            await second.process.wait()
        assert second.process.returncode == 2
        started = descendants(run.process.pid)
        assert await run.interrupt() == 0
        assert not any(map(is_alive, started))
    async with command("demo", tmp_path, port) as run:
        await run.says("The newest tick: BTCUSDT ")
        again = await get(f"{run.url}/price/history", start=day["data"][0]["timestamp"], limit="1000", features="none")
        assert again["data"] == day["data"]


async def test_run_without_an_exchange_says_so_and_serves(tmp_path: Path) -> None:
    """The sentence names what to change and what needs no exchange; the API answers all the same."""
    nobody = f"http://127.0.0.1:{find_free_port()}"
    settings = {"COLLECTOR_REST_URLS": nobody, "COLLECTOR_STREAM_URL": "", "COLLECTOR_ARCHIVE_URL": ""}
    async with command("run", tmp_path, find_free_port(), **settings) as run:
        await run.says("`make demo` needs no exchange.")
        assert f"The exchange cannot be reached ({nobody}: " in run.shown
        await run.says("It has no tick yet, as the exchange cannot be reached.")
        assert (await get(f"{run.url}/health"))["status"] in {"ok", "degraded"}
        assert await run.interrupt() == 0


@pytest.mark.parametrize(
    ("arguments", "settings", "sentence"),
    [
        ((), {}, "the following arguments are required"),
        (("fly",), {}, "invalid choice: 'fly'"),
        (("demo", "--fast"), {}, "unrecognized arguments: --fast"),
        (("run",), {"API_PORT": "eighty"}, "API_PORT cannot be used"),
        (("run",), {"COLLECTOR_SYMBOLS": "BTC/USDT"}, "COLLECTOR_SYMBOLS cannot be used"),
        (("run",), {"API_HOST": "192.0.2.1"}, "Port 8000 on 192.0.2.1 cannot be listened on"),
    ],
)
async def test_what_cannot_run_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, str], sentence: str
) -> None:
    """Exit 2 and no traceback."""
    environment = {"API_PORT": "8000", **settings}
    async with python("-m", "deploy.local", *arguments, environment=environment, folder=tmp_path) as process:
        async with asyncio.timeout(PATIENCE_SECONDS):
            _, complaint = await process.communicate()
    assert process.returncode == 2
    assert sentence in complaint.decode()
    assert complaint.decode().count("\n") == 1
