"""What a collector tells others through the database: that it is alive, what it did, and the exchange's time."""

import asyncio
import json
import os
import secrets
import socket
from datetime import timedelta

from collector.exchange import Exchange
from collector.recorder import Counts
from shared.database.driver import Executor, Pool
from shared.instant import utc_now
from shared.lifecycle import wait

BEAT_SECONDS = 5.0
FIRST_BEAT_SECONDS = 0.2
FORGOTTEN_AFTER = timedelta(days=1)


class Heartbeat:
    """One process's row in `heartbeats`."""

    def __init__(self, exchange: Exchange, counts: Counts) -> None:
        # Short enough to fit an application_name, which Postgres cuts at 63 bytes.
        self.instance = f"{socket.gethostname()[:24]}-{os.getpid()}-{secrets.token_hex(3)}"
        self._exchange = exchange
        self._counts = counts
        self._started_at = utc_now()

    async def beat(self, connection: Executor, *, is_leader: bool, tells_time: bool = True) -> None:
        """Say that we live, and what the exchange's clock shows, if it was asked; a stand-by's is out of date."""
        clock, gate = self._exchange.clock, self._exchange.gate
        details = {
            "minutes_inserted": self._counts.inserted,
            "minutes_corrected": self._counts.corrected,
            "rows_refused": dict(self._counts.refused),
            "exchange_answers": not gate.is_failing,
            "exchange_pause_seconds": round(gate.pause_seconds(), 1),
            "weight_used": gate.weight_used,
        }
        await connection.execute(
            """
            INSERT INTO heartbeats (service, instance, started_at, beat_at, is_leader, details)
            VALUES ('collector', $1, $2, clock_timestamp(), $3, $4)
            ON CONFLICT (service, instance) DO UPDATE
            SET beat_at = excluded.beat_at, is_leader = excluded.is_leader, details = excluded.details
            """,
            self.instance,
            self._started_at,
            is_leader,
            json.dumps(details),
        )
        if tells_time and clock.is_known:
            await connection.execute(
                """
                INSERT INTO exchange_clocks (source, exchange_time, told_at)
                VALUES ('binance', $1, clock_timestamp())
                ON CONFLICT (source) DO UPDATE
                SET exchange_time = excluded.exchange_time, told_at = excluded.told_at
                """,
                clock.now(),
            )

    async def keep_beating(self, pool: Pool, stop: asyncio.Event) -> None:
        """Beat as the leader until `stop` and once more at the end; forget processes silent for a day."""
        await pool.execute(
            "DELETE FROM heartbeats WHERE service = 'collector' AND beat_at < clock_timestamp() - $1::interval",
            FORGOTTEN_AFTER,
        )
        pause = 0.0
        while not await wait(stop, pause):
            # The first beat may come before the exchange has told its time, and others wait for that.
            pause = BEAT_SECONDS if self._exchange.clock.is_known else FIRST_BEAT_SECONDS
            await self.beat(pool, is_leader=True)
        await self.beat(pool, is_leader=False)
