"""The simulated exchange's REST, over HTTP."""

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from simulator.generator import Generator
from simulator.limits import Limits
from tests.simulated import MINUTE_MS, NOON_MS, Exchange, exchange


@pytest.fixture
async def binance() -> AsyncIterator[Exchange]:
    async with exchange(source=Generator(("BTCUSDT", "ETHUSDT"))) as running:
        yield running


async def test_ping_and_time(binance: Exchange) -> None:
    """An empty object, and the exchange's clock."""
    assert await binance.get("/api/v3/ping") == {}
    assert await binance.get("/api/v3/time") == {"serverTime": NOON_MS}


async def test_klines_are_rows_of_twelve(binance: Exchange) -> None:
    """Prices and volumes as text, times and trades as numbers, the unused field last."""
    rows = await binance.klines(limit=2)
    assert [row[0] for row in rows] == [NOON_MS - MINUTE_MS, NOON_MS]
    row = rows[0]
    assert [type(field) for field in row] == [int, str, str, str, str, str, int, str, int, str, str, str]
    assert row[6] == row[0] + MINUTE_MS - 1
    assert row[11] == "0"


async def test_the_clock_moves_the_record(binance: Exchange) -> None:
    """A minute on, the open candle has closed and another is open."""
    opened = (await binance.klines(limit=1))[0]
    binance.clock.advance(minutes=1)
    closed, current = await binance.klines(limit=2)
    assert closed[0] == opened[0]
    assert closed != opened
    assert current[0] == NOON_MS + MINUTE_MS


@pytest.mark.parametrize(("asked", "given"), [(None, 500), (1000, 1000), (5000, 1000), (7, 7)])
async def test_the_limit_is_500_unless_asked_and_never_above_1000(
    binance: Exchange, asked: int | None, given: int
) -> None:
    """Larger ones are clamped without a word."""
    query = {} if asked is None else {"limit": asked}
    assert len(await binance.klines(**query)) == given


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("klines?symbol=NOPEUSDT&interval=1m", -1121, "Invalid symbol."),
        ("klines?symbol=BTCUSDT&interval=7m", -1120, "Invalid interval."),
        ("klines?interval=1m", -1102, "Mandatory parameter 'symbol'"),
        ("klines?symbol=BTCUSDT", -1102, "Mandatory parameter 'interval'"),
        ("klines?symbol=btcusdt&interval=1m", -1100, "Illegal characters"),
        ("klines?symbol=BTCUSDT&interval=1m&startTime=-5", -1100, "Illegal characters"),
        ("klines?symbol=BTCUSDT&interval=1m&limit=all", -1100, "Illegal characters"),
        ("klines?symbol=BTCUSDT&interval=1m&limit=0", -1130, "'limit' is not valid"),
        ("klines?symbol=BTCUSDT&interval=1m&colour=red", -1104, "read '2' parameter(s) but was sent '3'"),
        ("ticker/price?symbol=NOPEUSDT", -1121, "Invalid symbol."),
        ("ticker/24hr?symbols=BTCUSDT", -1100, "Illegal characters"),
        ("exchangeInfo?symbol=BTCUSDT&symbols=[]", -1128, "Combination"),
    ],
)
async def test_mistakes_are_answered_as_the_exchange_does(
    binance: Exchange, path: str, code: int, message: str
) -> None:
    """Status 400 with a code and a message."""
    status, body = await binance.ask(f"/api/v3/{path}")
    assert status == 400
    assert set(body) == {"code", "msg"}
    assert body["code"] == code
    assert message in body["msg"]


async def test_exchange_info_says_the_limits_and_the_symbols(binance: Exchange) -> None:
    """The limits that are really kept; one symbol or a list when asked."""
    info = await binance.get("/api/v3/exchangeInfo")
    limits = {limit["rateLimitType"]: limit for limit in info["rateLimits"]}
    assert (limits["REQUEST_WEIGHT"]["limit"], limits["REQUEST_WEIGHT"]["interval"]) == (6000, "MINUTE")
    assert (limits["RAW_REQUESTS"]["limit"], limits["RAW_REQUESTS"]["intervalNum"]) == (300_000, 5)
    assert [symbol["symbol"] for symbol in info["symbols"]] == ["BTCUSDT", "ETHUSDT"]
    one = await binance.get("/api/v3/exchangeInfo", symbols='["ETHUSDT"]')
    assert [(symbol["baseAsset"], symbol["quoteAsset"]) for symbol in one["symbols"]] == [("ETH", "USDT")]


async def test_tickers_are_one_or_a_list(binance: Exchange) -> None:
    """An object for a symbol, a list for several or all."""
    newest = (await binance.klines(limit=1))[0]
    assert await binance.get("/api/v3/ticker/price", symbol="BTCUSDT") == {"symbol": "BTCUSDT", "price": newest[4]}
    assert [ticker["symbol"] for ticker in await binance.get("/api/v3/ticker/24hr")] == ["BTCUSDT", "ETHUSDT"]


async def test_an_unknown_path_is_not_found(binance: Exchange) -> None:
    """404, and logged as such."""
    async with binance.client.get(f"{binance.url}/api/v3/depth") as answer:
        assert answer.status == 404
    assert binance.simulator.log.entries[-1].status == 404


async def test_every_answer_says_the_weight_used(binance: Exchange) -> None:
    """Klines weigh 2, whatever their limit; mistakes weigh too."""
    used = []
    for path in ("ping", "klines?symbol=BTCUSDT&interval=1m&limit=1000", "klines?symbol=NOPE&interval=1m"):
        async with binance.client.get(f"{binance.url}/api/v3/{path}") as answer:
            assert answer.headers["X-MBX-USED-WEIGHT"] == answer.headers["X-MBX-USED-WEIGHT-1M"]
            used.append(int(answer.headers["X-MBX-USED-WEIGHT-1M"]))
    # A minute of the machine's may end between two of them, which begins the count anew.
    assert [later - earlier for earlier, later in pairwise(used)] == [2, 2] or used[-1] < used[0] + 4


async def test_going_on_after_429_ends_in_a_ban() -> None:
    """429 with Retry-After, then 418 that says until when in the exchange's time."""
    limits = Limits(weight_a_minute=20, refusals_before_ban=2, ban_seconds=300)
    async with exchange(limits=limits) as binance:
        # Begun by hand, so that the end of a real minute cannot fall into the test.
        binance.simulator.limiter.refuse(60)
        answers = []
        for _ in range(6):
            async with binance.client.get(f"{binance.url}/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1") as answer:
                answers.append((answer.status, answer.headers.get("Retry-After"), await answer.json()))
        refused = [body for status, _, body in answers if status == 429]
        banned = [(int(after or 0), body) for status, after, body in answers if status == 418]
        assert len(refused) == 1
        assert refused[0]["code"] == -1003
        assert "current limit is 20 request weight per 1 MINUTE" in refused[0]["msg"]
        assert all(after is not None for status, after, _ in answers if status == 429)
        assert banned[0][0] == 300
        assert banned[-1][0] > banned[0][0]
        assert f"IP banned until {NOON_MS + 300_000}" in banned[0][1]["msg"]
