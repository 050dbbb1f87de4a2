"""Collects the symbols of one source, whatever becomes of the others: their live minutes and the holes before them."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from collector.backfill import WORKERS, Backfill
from collector.contact import keep_contact, make_contact
from collector.klines import Kline, Refusal
from collector.live import LiveMinutes
from collector.recorder import Recorder
from collector.settings import CollectorSettings
from collector.sources.source import CloseListener
from collector.store import take_write_lock
from collector.symbols import update_given_up_symbols, upsert_collected_symbol
from collector.tasks import Job, run_until
from shared.database.connection import Connection
from shared.instant import floor_minute, parse_instant
from shared.symbols import name_at_source


class Collection:
    """The symbols that one leader collects from one source."""

    def __init__(
        self, settings: CollectorSettings, symbols: Sequence[str], recorder: Recorder, stop: asyncio.Event
    ) -> None:
        self._settings = settings
        self._symbols = {name_at_source(symbol): symbol for symbol in symbols}
        self._recorder = recorder
        self._source = recorder.source
        self._stop = stop

    async def run(self) -> None:
        """Collect until `stop`, and let what has begun then end within the grace.

        Raises UsageError for a symbol that the source does not list.
        """
        names = list(self._symbols)
        await make_contact(self._source, names, self._stop)
        lives = {
            name: LiveMinutes(symbol, self._recorder, since, self._stop)
            for (name, symbol), since in zip(self._symbols.items(), await self._begin_records(), strict=True)
        }
        slots = asyncio.Semaphore(WORKERS)
        jobs: dict[str, Job] = {f"live {self._symbols[name]}": live.run() for name, live in lives.items()}
        for symbol in self._symbols.values():
            jobs[f"backfill {symbol}"] = Backfill(symbol, self._recorder, self._stop, slots).run()
        source = self._source.name
        jobs[f"keep-contact {source}"] = keep_contact(self._source, names, self._stop)
        jobs[f"follow-closes {source}"] = self._source.follow_closes(names, self._listener(lives), self._stop)
        jobs[f"wake {source}"] = self._wake_at_the_end(lives)
        await run_until(self._stop, jobs)

    async def _begin_records(self) -> list[datetime]:
        """Write down that the symbols are collected, and return from when on each record is meant to be whole.

        Raises LeadershipLostError when another collector leads.
        """
        now = self._source.clock.now()
        since = floor_minute(min(now, parse_instant(self._settings.backfill_since, now)))

        async def write(connection: Connection) -> list[datetime]:
            # One that was paused while another took over must not give up what that one collects.
            await take_write_lock(connection, self._recorder.epoch)
            every = self._settings.symbols
            beginnings = [
                await upsert_collected_symbol(connection, symbol, every.index(symbol), since)
                for symbol in self._symbols.values()
            ]
            await update_given_up_symbols(connection, every)
            return beginnings

        return await self._recorder.database.write(write)

    def _listener(self, lives: Mapping[str, LiveMinutes]) -> CloseListener:
        async def take(name: str, kline: Kline) -> None:
            await lives[name].take_from_stream(kline)

        def refuse(name: str, refusal: Refusal) -> None:
            self._recorder.refuse(self._symbols.get(name, name), "stream", refusal)

        return CloseListener(take, refuse)

    async def _wake_at_the_end(self, lives: Mapping[str, LiveMinutes]) -> None:
        await self._stop.wait()
        for live in lives.values():
            live.wake()
