"""The record as the models read it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from predictor.commands.minute_bars import read_bars
from predictor.queries import record
from predictor.queries.record import find_made_at, select_bars, select_base, select_newest
from shared.database.connection import Connection, DriverConnection
from shared.instant import DAY, MINUTE, to_milliseconds
from tests.collecting import connected
from tests.integration.predictor_record import NOON, SYMBOL, prices, set_exchange_time, store_minutes
from tests.postgres import Database

CLOSES = prices(300)


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[DriverConnection]:
    """A record of 200 minutes up to noon less ten that are missing, and another symbol's."""
    async with connected(database.owner_url) as connection:
        await store_minutes(connection, NOON - 200 * MINUTE, CLOSES[:100])
        await store_minutes(connection, NOON - 90 * MINUTE, CLOSES[110:200])
        await store_minutes(connection, NOON - 50 * MINUTE, CLOSES[:60], "ETHUSDT")
        yield connection


@pytest.mark.parametrize("step", [timedelta(days=60), timedelta(minutes=37), timedelta(minutes=1)])
async def test_bars_are_the_ticks(owner: DriverConnection, monkeypatch: pytest.MonkeyPatch, step: timedelta) -> None:
    """Every column, in order, and nothing where a minute is missing; in however many pieces."""
    monkeypatch.setattr(record, "_STEP", step)
    bars = await select_bars(Connection(owner), SYMBOL, NOON - 150 * MINUTE, NOON - 20 * MINUTE)
    rows = await owner.fetch(
        "SELECT * FROM ticks WHERE symbol = $1 AND minute >= $2 AND minute < $3 ORDER BY minute",
        SYMBOL,
        NOON - 150 * MINUTE,
        NOON - 20 * MINUTE,
    )
    assert len(bars) == 120
    assert bars.open_time.tolist() == [to_milliseconds(row["minute"]) for row in rows]
    for name in ("open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_base_volume"):
        assert getattr(bars, name).tolist() == [float(row[name]) for row in rows]
        assert getattr(bars, name).dtype == np.float64
    assert bars.interval_ms == 60_000
    assert find_made_at(bars) == NOON - 20 * MINUTE


async def test_range_without_a_minute_is_no_bars(owner: DriverConnection) -> None:
    """Of the right types all the same."""
    for start, end in ((NOON, NOON + DAY), (NOON, NOON)):
        bars = await select_bars(Connection(owner), SYMBOL, start, end)
        assert len(bars) == 0
        assert bars.open_time.dtype == np.int64
        assert bars.close.dtype == np.float64


async def test_newest_minute_is_told_by_its_close_with_the_exchange_s_time(owner: DriverConnection) -> None:
    """Each symbol has its own."""
    await set_exchange_time(owner, NOON)
    newest = await select_newest(Connection(owner), SYMBOL)
    assert newest.made_at == NOON
    assert timedelta() <= newest.now - NOON < timedelta(seconds=20)
    assert (await select_newest(Connection(owner), "ETHUSDT")).made_at == NOON + 10 * MINUTE
    assert (await select_newest(Connection(owner), "XRPUSDT")).made_at is None


async def test_base_price_is_exact_and_its_decimals_are_the_day_s(owner: DriverConnection) -> None:
    """A price that ends in zeros does not lose the others' decimals, and zeros that an exchange adds are none."""
    await store_minutes(owner, NOON - MINUTE, [Decimal("60000.10000000")])
    base = await select_base(Connection(owner), SYMBOL, NOON)
    assert base is not None
    assert (base.price, base.decimals) == (Decimal("60000.1"), 2)
    assert await select_base(Connection(owner), SYMBOL, NOON - 95 * MINUTE) is None
    await store_minutes(owner, NOON + 3 * DAY, [Decimal("0.00001234"), Decimal("0.00001")], "SHIBUSDT")
    small = await select_base(Connection(owner), "SHIBUSDT", NOON + 3 * DAY + 2 * MINUTE)
    assert small is not None
    assert (small.price, small.decimals) == (Decimal("0.00001"), 8)


async def test_what_a_source_does_not_tell_is_nan(owner: DriverConnection) -> None:
    """In the minutes that lack it; the others keep theirs."""
    await owner.execute(
        """
        UPDATE ticks
        SET quote_volume = NULL, trades = NULL, taker_base_volume = NULL, taker_quote_volume = NULL
        WHERE symbol = $1 AND minute < $2
        """,
        SYMBOL,
        NOON - 150 * MINUTE,
    )
    bars = await select_bars(Connection(owner), SYMBOL, NOON - 200 * MINUTE, NOON)
    is_untold = bars.open_time < to_milliseconds(NOON - 150 * MINUTE)
    assert is_untold.sum() == 50
    for values in (bars.quote_volume, bars.trades, bars.taker_base_volume):
        assert np.isnan(values).tolist() == is_untold.tolist()
    assert not np.isnan(bars.volume).any()


@pytest.mark.parametrize("untold", [True, False], ids=["untold", "told"])
async def test_backtest_s_bars_are_the_service_s(owner: DriverConnection, tmp_path: Path, untold: bool) -> None:
    """Of the same minutes, whether or not their source tells the amounts."""
    if untold:
        await owner.execute(
            "UPDATE ticks SET quote_volume = NULL, trades = NULL, taker_base_volume = NULL, taker_quote_volume = NULL"
        )
    amounts = "" if untold else ", quote_volume, trades, taker_base_volume AS taker_base"
    path = tmp_path / "BTCUSDT.csv"
    await owner.copy_from_query(
        f"""
        SELECT (date_part('epoch', minute) * 1000)::bigint AS open_time_ms, open, high, low, close, volume {amounts}
        FROM ticks
        WHERE symbol = 'BTCUSDT'
        """,
        output=path,
        format="csv",
        header=True,
    )
    of_file = read_bars([path])
    of_record = await select_bars(Connection(owner), SYMBOL, NOON - DAY, NOON)
    assert len(of_file) == len(of_record) == 190
    assert np.isnan(of_file.quote_volume).all() == untold
    for name in ("open_time", "open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_base_volume"):
        np.testing.assert_array_equal(getattr(of_file, name), getattr(of_record, name))
