"""Faults over HTTP, one by one."""

import asyncio
import json
import time
from collections.abc import Callable

import aiohttp
import pytest

from simulator.fault import ROW_VARIANTS
from tests.simulated import NOON_MS, PATIENCE_SECONDS, exchange

KLINES = "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=5"


@pytest.mark.parametrize(
    ("kind", "status", "content_type", "text"),
    [
        ("403", 403, "text/html", "<html>"),
        ("404", 404, "text/plain", "Not Found"),
        ("451", 451, "application/json", "restricted location"),
        ("500", 500, "application/json", '"code":-1000'),
        ("502", 502, "text/html", "502 Bad Gateway"),
        ("503", 503, "application/json", '"code":-1008'),
        ("418", 418, "application/json", "IP banned until"),
        ("429", 429, "application/json", '"code":-1003'),
        ("malformed_json", 200, "application/json", '[[1634943780000,"60685.22'),
        ("empty", 200, "application/json", "[]"),
    ],
)
async def test_an_answer_on_request(kind: str, status: int, content_type: str, text: str) -> None:
    """Status, type and body as recorded of the exchange; the log names the fault."""
    async with exchange(faults=[f"{kind},count=1"]) as binance, binance.client.get(binance.url + KLINES) as answer:
        assert (answer.status, answer.content_type) == (status, content_type)
        assert text in await answer.text()
        assert [(entry.status, entry.fault) for entry in binance.simulator.log.entries] == [(status, kind)]


async def test_a_429_without_seconds_says_no_time_and_bans_nobody() -> None:
    """The next request is served."""
    async with exchange(faults=["429,count=1"]) as binance:
        async with binance.client.get(binance.url + KLINES) as answer:
            assert answer.status == 429
            assert "Retry-After" not in answer.headers
        assert len(await binance.get(KLINES)) == 5


async def test_a_429_with_seconds_holds_and_grows_into_a_ban() -> None:
    """Every request before it is over is an offence, on whatever host name; too many are banned."""
    async with exchange(faults=["429,seconds=60,count=1"]) as binance:
        answers = []
        for host in ("127.0.0.1", "localhost"):
            for _ in range(4):
                url = binance.url.replace("127.0.0.1", host) + KLINES
                async with binance.client.get(url, headers={"Host": host}) as answer:
                    answers.append((answer.status, int(answer.headers["Retry-After"])))
        assert [status for status, _ in answers] == [429] * 5 + [418] * 3
        assert all(50 < after <= 60 for _, after in answers[:5])
        assert all(100 < after <= 120 for _, after in answers[5:])


async def test_a_ban_holds_for_every_request() -> None:
    """It says until when in the exchange's time, and goes on though the fault struck but once."""
    async with exchange(faults=["418,seconds=600,count=1"]) as binance:
        status, body = await binance.ask(KLINES)
        assert status == 418
        assert f"until {NOON_MS + 600_000}" in body["msg"]
        assert (await binance.ask("/api/v3/time"))[0] == 418


async def test_a_time_out_never_answers() -> None:
    """The request is accepted, logged, and left hanging; the next one is served."""
    async with exchange(faults=["timeout,count=1"]) as binance:
        with pytest.raises(TimeoutError):
            await binance.client.get(binance.url + KLINES, timeout=aiohttp.ClientTimeout(total=0.5))
        assert [(entry.status, entry.fault) for entry in binance.simulator.log.entries] == [(None, "timeout")]
        assert len(await binance.get(KLINES)) == 5


async def test_stopping_does_not_wait_for_what_hangs() -> None:
    """A hanging request is reset when the simulator stops."""
    async with aiohttp.ClientSession() as client:
        async with exchange(faults=["timeout"]) as binance:
            hanging = asyncio.create_task(client.get(binance.url + KLINES))
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await binance.get("/_simulator/log"):
                    continue
            started = time.monotonic()
        assert time.monotonic() - started < 3
        with pytest.raises(aiohttp.ClientError):
            await hanging


async def test_a_reset_connection() -> None:
    """The client sees a reset, not an end."""
    async with exchange(faults=["reset"]) as binance:
        with pytest.raises(aiohttp.ClientOSError, match="reset by peer"):
            await binance.client.get(binance.url + KLINES)
        binance.simulator.faults.clear()
        assert len(await binance.get(KLINES)) == 5


async def test_a_slow_answer_comes_late() -> None:
    """And is right."""
    async with exchange(faults=["slow,seconds=0.2,count=1"]) as binance:
        started = time.monotonic()
        assert len(await binance.get(KLINES)) == 5
        assert time.monotonic() - started >= 0.2


async def test_a_truncated_answer_ends_in_its_middle() -> None:
    """The announced length does not come."""
    async with (
        exchange(faults=["truncated,count=1"]) as binance,
        binance.client.get(binance.url + KLINES) as answer,
    ):
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


@pytest.mark.parametrize("variant", ROW_VARIANTS)
async def test_one_row_of_a_page_is_malformed(variant: str) -> None:
    """The others are as they should be."""
    async with exchange(faults=[f"bad_row,variant={variant},count=1"]) as binance:
        spoilt = await binance.get(KLINES)
        good = await binance.get(KLINES)
        different = [(bad, row) for bad, row in zip(spoilt, good, strict=True) if bad != row]
        assert len(different) == 1
        bad, row = different[0]
        defects: dict[str, Callable[[], bool]] = {
            "missing_field": lambda: len(bad) == 11,
            "nan": lambda: bad[4] == "NaN",
            "null": lambda: bad[1] is None,
            "wrong_type": lambda: isinstance(bad[2], dict),
            "negative": lambda: bad[5].startswith("-"),
            "high_below_low": lambda: float(bad[2]) < float(bad[3]),
            "off_grid": lambda: bad[0] % 60_000 != 0 and bad[1:] == row[1:],
            "not_a_list": lambda: isinstance(bad, dict),
        }
        assert defects[variant]()


async def test_a_page_without_rows_cannot_be_spoilt() -> None:
    """An empty list stays one."""
    async with exchange(faults=["bad_row"]) as binance:
        assert await binance.klines(startTime=NOON_MS + 60_000) == []


async def test_one_host_can_be_down_alone() -> None:
    """By the name it is addressed with."""
    async with exchange(faults=["503,host=api1.*"]) as binance:
        for host, status in (("api1.example", 503), ("api2.example", 200)):
            async with binance.client.get(binance.url + KLINES, headers={"Host": host}) as answer:
                assert answer.status == status
        assert [entry.host for entry in binance.simulator.log.entries] == ["api1.example", "api2.example"]


async def test_archives_fail_when_their_path_is_named() -> None:
    """Every HTTP fault can strike every path."""
    async with exchange(faults=["502,path=/data/*"]) as binance:
        status, body = 0, ""
        async with binance.client.get(f"{binance.url}/data/spot/x.zip") as answer:
            status, body = answer.status, await answer.text()
        assert (status, json.dumps(body)[:6]) == (502, '"<html')
