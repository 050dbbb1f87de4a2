"""The collector's life: stand by, lead, collect, and begin anew when Postgres or the leadership was lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from time import monotonic

import asyncpg

from collector.backfill import WORKERS, Backfill
from collector.exchange import Exchange, open_exchange
from collector.heartbeat import BEAT_SECONDS, Heartbeat, load_pause, share_pauses
from collector.klines import Kline
from collector.leadership import APPLICATION_PREFIX, STANDBY_SECONDS, acquire, keep_renewing, release
from collector.live import LiveMinutes
from collector.recorder import Counts, Recorder
from collector.settings import CollectorSettings
from collector.stream import Stream
from shared.database.connection import CONNECT_TIMEOUT_SECONDS, Pool, opening, translated
from shared.errors import DatabaseError, DatabaseUnavailableError, LeadershipLostError
from shared.instant import floor_minute, parse_instant, to_milliseconds
from shared.lifecycle import Stopping, stop_on_signals, wait
from shared.logging import get_logger

log = get_logger(__name__)

Job = Callable[[Pool, int], Coroutine[object, object, None]]
WhenBusy = Callable[[Pool], Coroutine[object, object, None]]

POOL_SIZE = WORKERS + 4
STATEMENT_SECONDS = 30.0
# A wrong URL should be said soon; once Postgres was there, it is waited for without end.
FIRST_CONNECTION_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 1.0
# The position of a symbol that was collected once: behind every other.
NO_POSITION = 1_000_000
# SIGTERM is to be obeyed within 5 seconds; so long may a unit of work that has begun go on.
GRACE_SECONDS = 3.0
CUT_OFF_SECONDS = 3.6
RELEASE_SECONDS = 0.8


class Worker:
    """One collector process: a stand-by until the lease is free, then the leader."""

    def __init__(self, settings: CollectorSettings, exchange: Exchange, stop: asyncio.Event) -> None:
        self.settings = settings
        self.exchange = exchange
        self.stop = stop
        self.counts = Counts()
        self.heartbeat = Heartbeat(exchange, self.counts)
        self.database_url = settings.database_url.get_secret_value()

    async def run(self, job: Job, when_busy: WhenBusy | None = None) -> None:
        """Lead and do `job` to its end; trouble with Postgres or a lost leadership begins it anew.

        While another collector leads, stand by; with `when_busy`, do that instead and return. Raises DatabaseError
        when Postgres never answered, and what else `job` raises.
        """
        began_at = monotonic()
        was_connected = False
        while not self.stop.is_set():
            try:
                async with self.open_pool() as pool:
                    was_connected = True
                    epoch = await self._stand_by(pool, when_busy is None)
                    if epoch is not None:
                        log.info("leading", instance=self.heartbeat.instance, epoch=epoch)
                        await self._lead(pool, epoch, job(pool, epoch))
                    elif when_busy:
                        await guarded(when_busy(pool))
                    return
            except (DatabaseUnavailableError, LeadershipLostError, ExceptionGroup) as error:
                cause = telling_cause(error)
                if not isinstance(cause, DatabaseUnavailableError | LeadershipLostError):
                    raise cause from error
                if not was_connected and monotonic() - began_at > FIRST_CONNECTION_SECONDS:
                    raise
                log.warning("collecting_interrupted", reason=str(cause))
                await wait(self.stop, LONGEST_PAUSE_SECONDS)

    @asynccontextmanager
    async def open_pool(self) -> AsyncIterator[Pool]:
        """Open connections under this instance's name, by which a successor can end them."""
        with opening():
            pool = await asyncpg.create_pool(
                self.database_url,
                min_size=1,
                max_size=POOL_SIZE,
                timeout=CONNECT_TIMEOUT_SECONDS,
                command_timeout=STATEMENT_SECONDS,
                server_settings={
                    "application_name": APPLICATION_PREFIX + self.heartbeat.instance,
                    "timezone": "UTC",
                    "jit": "off",
                    "idle_in_transaction_session_timeout": "5s",
                    "statement_timeout": f"{STATEMENT_SECONDS:.0f}s",
                    # A leader that is cut off without a word must not keep its locks for hours.
                    "tcp_keepalives_idle": "5",
                    "tcp_keepalives_interval": "2",
                    "tcp_keepalives_count": "3",
                },
            )
        cutting = asyncio.create_task(self._cut_off(pool), name="cut-off")
        try:
            yield pool
        finally:
            cutting.cancel()
            try:
                async with asyncio.timeout(1.0):
                    await pool.close()
            except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                pool.terminate()

    async def _cut_off(self, pool: Pool) -> None:
        """End what a server that hangs keeps beyond the time that a stop may take; a cancelled query waits for it."""
        await self.stop.wait()
        await asyncio.sleep(CUT_OFF_SECONDS)
        pool.terminate()

    async def _stand_by(self, pool: Pool, patient: bool) -> int | None:  # noqa: FBT001 - private, and named at its one call
        """Take the lease, if `patient` as soon as it is free; returns the epoch to lead with, None without one."""
        beat_at = 0.0
        while not self.stop.is_set():
            with translated():
                async with pool.acquire() as connection:
                    epoch = await acquire(connection, self.heartbeat.instance)
                    if epoch is not None or not patient:
                        return epoch
                    if monotonic() >= beat_at:
                        beat_at = monotonic() + BEAT_SECONDS
                        await self.heartbeat.beat(connection, is_leader=False, tells_time=False)
            await wait(self.stop, STANDBY_SECONDS)
        return None

    async def _lead(self, pool: Pool, epoch: int, work: Coroutine[object, object, None]) -> None:
        """Do `work` while keeping the lease, the heartbeat and the exchange's pauses; give the lease up at the end."""
        done = asyncio.Event()
        try:
            with translated():
                async with pool.acquire() as connection:
                    await load_pause(connection, self.exchange)
            async with asyncio.TaskGroup() as tasks:
                for keeper in (
                    keep_renewing(pool, epoch, done),
                    self.heartbeat.keep_beating(pool, done),
                    share_pauses(pool, self.exchange, done),
                ):
                    tasks.create_task(guarded(keeper))
                await guarded(work)
                done.set()
        finally:
            work.close()
            await self._release(epoch)

    async def _release(self, epoch: int) -> None:
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await release(self.database_url, epoch)
        except (DatabaseError, TimeoutError) as error:
            log.warning("lease_not_released", reason=str(error) or "timed out")

    async def collect(self, pool: Pool, epoch: int) -> None:
        """Collect all symbols until `stop`, and let what has begun then end within the grace."""
        symbols = self.settings.symbols
        await self.exchange.greet(symbols)
        recorder = Recorder(pool, self.exchange.clock, self.settings.source, epoch, self.counts)
        lives = {}
        for position, symbol in enumerate(symbols):
            since = await self.declare(pool, symbol, position)
            lives[symbol] = LiveMinutes(symbol, self.exchange.binance, recorder, to_milliseconds(since), self.stop)
        await self._put_others_last(pool)
        slots = asyncio.Semaphore(WORKERS)
        jobs: list[Coroutine[object, object, None]] = [live.run() for live in lives.values()]
        jobs += [Backfill(symbol, self.exchange, recorder, self.stop, slots).run() for symbol in symbols]
        jobs.append(self.exchange.keep_time(symbols[0]))
        if self.settings.stream_url:

            async def take(symbol: str, kline: Kline) -> None:
                await lives[symbol].take_from_stream(kline)

            stream = Stream(self.exchange.session, self.settings.stream_url, symbols, take, self.counts.refused)
            jobs.append(stream.run(self.exchange.gate, self.stop))
        jobs.append(self._wake_at_the_end(lives.values()))
        await run_until(self.stop, jobs)

    async def _wake_at_the_end(self, lives: Iterable[LiveMinutes]) -> None:
        await self.stop.wait()
        for live in lives:
            live.wake()

    async def declare(self, pool: Pool, symbol: str, position: int) -> datetime:
        """Write down that a symbol is collected, and since when; a record never shrinks. Returns its beginning."""
        now = self.exchange.clock.now()
        wanted = floor_minute(min(now, parse_instant(self.settings.backfill_since, now)))
        since: datetime = await pool.fetchval(
            """
            INSERT INTO collected_symbols (symbol, position, since)
            VALUES ($1, $2, $3)
            ON CONFLICT (symbol) DO UPDATE
            SET position = excluded.position, since = least(collected_symbols.since, excluded.since), until = NULL
            RETURNING since
            """,
            symbol,
            position,
            wanted,
        )
        return since

    async def _put_others_last(self, pool: Pool) -> None:
        """End the record of what is no longer collected, and let it be nobody's default.

        Its last minutes are those that the last collector of it stored; since then none is missing.
        """
        await pool.execute(
            """
            UPDATE collected_symbols AS retired
            SET position = $1,
                until = coalesce(
                    (SELECT max(minute) + interval '1 minute' FROM ticks WHERE ticks.symbol = retired.symbol),
                    retired.since
                )
            WHERE symbol <> ALL ($2::text[])
              AND position <> $1
            """,
            NO_POSITION,
            self.settings.symbols,
        )


async def run_until(stop: asyncio.Event, jobs: Sequence[Coroutine[object, object, None]]) -> None:
    """Run jobs to their ends; once `stop` is set, what they have begun may go on for the grace and is then cut off."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(guarded(job)) for job in jobs]
        stopping = tasks.create_task(_until(stop))
        late = set(running)
        while late and not stopping.done():
            _, waited_for = await asyncio.wait((stopping, *late), return_when=asyncio.FIRST_COMPLETED)
            late = waited_for - {stopping}
        if late:
            _, late = await asyncio.wait(late, timeout=GRACE_SECONDS)
        for task in (*late, stopping):
            task.cancel()


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()


async def guarded(work: Coroutine[object, object, None]) -> None:
    """Run a task's work with the driver's errors translated; a stop that cuts a wait short ends it well."""
    try:
        with translated():
            await work
    except Stopping:
        return


def telling_cause(error: Exception) -> Exception:
    """Return the error of a group that says most: one that is not simply a lost database or leadership."""
    leaves = [error]
    while any(isinstance(leaf, ExceptionGroup) for leaf in leaves):
        leaves = [
            inner for leaf in leaves for inner in (leaf.exceptions if isinstance(leaf, ExceptionGroup) else [leaf])
        ]
    return next(
        (leaf for leaf in leaves if not isinstance(leaf, DatabaseUnavailableError | LeadershipLostError)), leaves[0]
    )


async def run_service(settings: CollectorSettings) -> None:
    """Collect until SIGTERM or SIGINT."""
    stop = stop_on_signals()
    async with open_exchange(settings, stop) as exchange:
        worker = Worker(settings, exchange, stop)
        await worker.run(worker.collect)
    log.info("collector_stopped", inserted=worker.counts.inserted, corrected=worker.counts.corrected)
