"""The catalog: the exchanges' clocks, and up to where a record should reach."""

from datetime import timedelta

from api.catalog import select_catalog
from shared.database.database import connect
from shared.instant import MINUTE
from tests.collecting import connected
from tests.integration.api_server import START, SYMBOL, beat, make_ticks, store
from tests.postgres import Database


async def test_clock_is_there_before_anything_is_collected(database: Database) -> None:
    """That of Binance, and no symbol."""
    async with connected(database.owner_url) as owner, connect(database.api_url, "test") as connection:
        await beat(owner, START)
        catalog = await select_catalog(connection)
    assert (catalog.begins, catalog.newest, catalog.collected, catalog.default_symbol) == ({}, {}, frozenset(), None)
    assert START <= catalog.now(SYMBOL) < START + MINUTE


async def test_a_minute_that_turns_meanwhile_is_not_seen(database: Database) -> None:
    """A record should reach up to the minute that was seen first, or to where it was given up."""
    await store(database.owner_url, make_ticks(5), now=START + 5 * MINUTE + timedelta(seconds=5))
    async with connected(database.owner_url) as owner, connect(database.api_url, "test") as connection:
        catalog = await select_catalog(connection)
        assert catalog.closed_until(SYMBOL) == START + 5 * MINUTE
        assert catalog.record_until(SYMBOL, START + 4 * MINUTE) == START + 4 * MINUTE
        await owner.execute("UPDATE collected_symbols SET until = $1", START + 3 * MINUTE)
        catalog = await select_catalog(connection)
    assert catalog.record_until(SYMBOL, START + 4 * MINUTE) == START + 3 * MINUTE
