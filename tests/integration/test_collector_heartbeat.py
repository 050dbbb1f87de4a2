"""What a collector says of itself in the database, and what only the leader says of the exchanges."""

import json

import pytest

from collector.counts import Counts
from collector.heartbeat import Heartbeat
from shared.database.connection import Connection
from shared.database.database import connect
from shared.symbols import BINANCE
from tests.peculiar_exchange import NOW, Peculiar, source_at
from tests.postgres import Database


@pytest.mark.parametrize("told", [False, True])
async def test_stand_by_says_nothing_of_the_exchange_s_clock(database: Database, *, told: bool) -> None:
    """Its own is out of date: what the leader has told stays as it is."""
    async with source_at(Peculiar()) as source, connect(database.collector_url, "test") as connection:
        if told:
            await connection.execute("INSERT INTO exchange_clocks VALUES ('binance', $1, clock_timestamp())", NOW)
        before = await clocks(connection)
        heartbeat = Heartbeat({BINANCE: source}, Counts())
        await heartbeat.beat(connection, is_leader=False)
        assert await clocks(connection) == before
        (row,) = await connection.fetch("SELECT instance, is_leader, details FROM heartbeats")
    assert (row["instance"], row["is_leader"]) == (heartbeat.instance, False)
    assert json.loads(row["details"])["exchanges"] == {
        "binance": {"answers": True, "pause_seconds": 0.0, "weight_used": 1}
    }


async def clocks(connection: Connection) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await connection.fetch("SELECT source, exchange_time, told_at FROM exchange_clocks")]
