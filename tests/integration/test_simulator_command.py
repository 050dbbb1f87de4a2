"""`python -m simulator` as a user starts it."""

import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

PATIENCE_SECONDS = 30.0


@asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    """The command once it is ready, and the line that says so."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulator",
        "--log-format=json",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert process.stdout is not None
            line = await process.stdout.readline()
            yield process, json.loads(line)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_it_says_where_it_listens_serves_and_ends_on_a_signal() -> None:
    """One line when ready; SIGTERM ends it quickly with status 0, streams and hanging requests included."""
    async with started("--port=0", "--symbols=BTCUSDT", "--fault=timeout,path=/api/v3/ping") as (process, ready):
        assert ready["event"] == "simulator_ready"
        assert ready["rest"] == ready["archive"]
        assert ready["stream"] == ready["rest"].replace("http", "ws")
        async with aiohttp.ClientSession() as client:
            async with client.get(f"{ready['rest']}/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=3") as answer:
                assert len(await answer.json()) == 3
            hanging = asyncio.create_task(client.get(f"{ready['rest']}/api/v3/ping"))
            async with client.ws_connect(f"{ready['stream']}/ws/btcusdt@kline_1m") as stream:
                assert (await stream.receive_json())["e"] == "kline"
                begun = time.monotonic()
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
                assert time.monotonic() - begun < 5
            with pytest.raises(aiohttp.ClientError):
                await hanging


async def test_files_are_served_from_their_end(tmp_path: Path) -> None:
    """Text for text, at a time just after the last minute."""
    path = tmp_path / "BTCUSDT-1m-few.csv"
    path.write_text("1767614400000,1.10,2.0,1.0,1.5,3,1767614459999,4,5,1,1,0\n")
    async with (
        started("--port=0", f"--data={path}") as (_, ready),
        aiohttp.ClientSession() as client,
        client.get(f"{ready['rest']}/api/v3/klines?symbol=BTCUSDT&interval=1m") as answer,
    ):
        row = [1_767_614_400_000, "1.10", "2.0", "1.0", "1.5", "3", 1_767_614_459_999, "4", 5, "1", "1", "0"]
        assert await answer.json() == [row]


async def refusal(*arguments: str) -> str:
    """What the command says on stderr when it exits 2."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulator", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        _, stderr = await process.communicate()
    assert process.returncode == 2
    return stderr.decode()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--port", "many"], "--port"),
        (["--fault", "meteor"], "'meteor' is not a fault"),
        (["--data", "absent.parquet"], "absent.parquet cannot be read"),
        (["--speed", "-1"], "--speed"),
    ],
)
async def test_bad_usage_exits_2_with_one_sentence(arguments: list[str], reason: str) -> None:
    """No traceback; the sentence names what to change."""
    said = await refusal(*arguments)
    assert reason in said
    assert said.count("\n") == 1


async def test_a_taken_port_is_named() -> None:
    """The sentence says which, and what to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = await refusal("--port", str(port))
    assert f"127.0.0.1:{port}" in said
    assert "--port" in said
    assert said.count("\n") == 1


async def test_help_lists_every_fault() -> None:
    """With its meaning."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulator", "--help", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert "late_close" in out.decode()
    assert "--start" in out.decode()
