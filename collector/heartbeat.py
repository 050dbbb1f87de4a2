"""What a collector tells others by the database: that it lives, what it did, and what the exchanges' clocks show."""

import asyncio
import time
from functools import partial

from collector.counts import Counts
from collector.sources.registry import Sources
from shared.database.connection import Connection
from shared.database.database import Database
from shared.database.heartbeats import delete_old_heartbeats, upsert_heartbeat
from shared.instance import make_instance_name
from shared.instant import utc_now
from shared.lifecycle import wait

BEAT_SECONDS = 5.0
LOOK_SECONDS = 0.2
_NAME = "collector"


class Heartbeat:
    """One process's row in `heartbeats`, and as the leader's the rows in `exchange_clocks`."""

    def __init__(self, sources: Sources, counts: Counts) -> None:
        self.instance = make_instance_name()
        self._sources = sources
        self._counts = counts
        self._started_at = utc_now()

    async def beat(self, connection: Connection, *, is_leader: bool) -> None:
        """Say that we live."""
        details = self._describe()
        await upsert_heartbeat(connection, _NAME, self.instance, self._started_at, details, is_leader=is_leader)

    async def keep_beating(self, database: Database, stop: asyncio.Event) -> None:
        """Beat as the leader until `stop` and once more at the end; forget processes silent for a day."""
        await database.write(partial(delete_old_heartbeats, service=_NAME))
        beat_at = 0.0
        told: set[str] = set()
        while not await wait(stop, LOOK_SECONDS if beat_at else 0.0):
            # An exchange's time is written as soon as it is first known, because other processes wait for it.
            known = {name for name, source in self._sources.items() if source.clock.is_known}
            if known == told and time.monotonic() < beat_at:
                continue
            beat_at, told = time.monotonic() + BEAT_SECONDS, known
            await database.write(lambda connection: self._beat_with_clocks(connection, is_leader=True))
        await database.write(lambda connection: self._beat_with_clocks(connection, is_leader=False))

    async def _beat_with_clocks(self, connection: Connection, *, is_leader: bool) -> None:
        """Say that we live and what the clocks show that are known; a stand-by's would be out of date."""
        await self.beat(connection, is_leader=is_leader)
        for name, source in self._sources.items():
            if source.clock.is_known:
                await connection.execute(
                    """
                    INSERT INTO exchange_clocks (source, exchange_time, told_at)
                    VALUES ($1, $2, clock_timestamp())
                    ON CONFLICT (source) DO UPDATE
                    SET exchange_time = excluded.exchange_time, told_at = excluded.told_at
                    """,
                    name,
                    source.clock.now(),
                )

    def _describe(self) -> dict[str, object]:
        return {
            "minutes_inserted": self._counts.inserted,
            "minutes_corrected": self._counts.corrected,
            "rows_refused": dict(self._counts.refused),
            "exchanges": {
                name: {
                    "answers": not source.gate.is_failing,
                    "pause_seconds": round(source.gate.pause_seconds(), 1),
                    "weight_used": source.gate.weight_used,
                }
                for name, source in self._sources.items()
            },
        }
