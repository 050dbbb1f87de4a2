"""The collector's life: stand by, lead, collect, and begin anew when Postgres or the leadership was lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from time import monotonic

import asyncpg

from collector.backfill import WORKERS, Backfill
from collector.exchange import Exchange, open_exchange
from collector.heartbeat import BEAT_SECONDS, Heartbeat
from collector.klines import Kline
from collector.leadership import APPLICATION_PREFIX, STANDBY_SECONDS, acquire, keep_renewing, release
from collector.live import LiveMinutes
from collector.pauses import load_pause, share_pauses
from collector.recorder import Counts, Recorder
from collector.settings import CollectorSettings
from collector.stream import Stream
from collector.symbols import update_given_up_symbols, upsert_collected_symbol
from collector.tasks import guarded, run_until, telling_cause
from shared.database.driver import Pool, connect, make_pool, opening, translated
from shared.errors import DatabaseError, DatabaseUnavailableError, LeadershipLostError
from shared.health import shown_alive
from shared.instant import floor_minute, parse_instant, to_milliseconds
from shared.lifecycle import stop_on_signals, wait
from shared.logging import get_logger
from shared.settings import HealthSettings

log = get_logger(__name__)

Job = Callable[[Pool, int], Coroutine[object, object, None]]
WhenBusy = Callable[[Pool], Coroutine[object, object, None]]

POOL_SIZE = WORKERS + 4
STATEMENT_SECONDS = 30.0
# A wrong URL should be said soon; once Postgres was there, it is waited for without end.
FIRST_CONNECTION_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 1.0
SESSION = {
    "idle_in_transaction_session_timeout": "5s",
    "statement_timeout": f"{STATEMENT_SECONDS:.0f}s",
    # A leader that is cut off without a word must not keep its locks for hours.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
# A little after the grace of a unit of work, and early enough to give up the lease within the 5 seconds of SIGTERM.
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
        # By which a successor finds this instance's connections and ends them.
        self.application_name = APPLICATION_PREFIX + self.heartbeat.instance

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
        """Open the connections for all but the lease."""
        with opening():
            pool = await make_pool(
                self.database_url,
                self.application_name,
                min_size=1,
                max_size=POOL_SIZE,
                statement_seconds=STATEMENT_SECONDS,
                server_settings=SESSION,
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
                    self._keep_lease(pool, epoch, done),
                    self.heartbeat.keep_beating(pool, done),
                    share_pauses(pool, self.exchange, done),
                ):
                    tasks.create_task(guarded(keeper))
                await guarded(work)
                done.set()
        finally:
            work.close()
            await self._release(epoch)

    async def _keep_lease(self, pool: Pool, epoch: int, done: asyncio.Event) -> None:
        """Renew the lease, on a connection of its own so that no write keeps it waiting; no write outlives it."""
        async with connect(self.database_url, self.application_name, **SESSION) as connection:
            try:
                await keep_renewing(connection, epoch, done)
            except BaseException as error:
                # A server that hangs would hold what was asked of it even when that is cancelled.
                connection.terminate()
                if isinstance(error, LeadershipLostError):
                    pool.terminate()
                raise

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
            since = await upsert_collected_symbol(pool, symbol, position, self._record_start())
            lives[symbol] = LiveMinutes(symbol, self.exchange.binance, recorder, to_milliseconds(since), self.stop)
        await update_given_up_symbols(pool, symbols)
        slots = asyncio.Semaphore(WORKERS)
        jobs: list[Coroutine[object, object, None]] = [live.run() for live in lives.values()]
        jobs += [Backfill(symbol, self.exchange, recorder, self.stop, slots).run() for symbol in symbols]
        jobs.append(self.exchange.keep_time(symbols))
        if self.settings.stream_url:

            async def take(symbol: str, kline: Kline) -> None:
                await lives[symbol].take_from_stream(kline)

            stream = Stream(self.exchange.session, self.settings.stream_url, symbols, take, self.counts.refused)
            jobs.append(stream.run(self.exchange.gate, self.stop))
        jobs.append(self._wake_at_the_end(lives.values()))
        await run_until(self.stop, jobs)

    def _record_start(self) -> datetime:
        now = self.exchange.clock.now()
        return floor_minute(min(now, parse_instant(self.settings.backfill_since, now)))

    async def _wake_at_the_end(self, lives: Iterable[LiveMinutes]) -> None:
        await self.stop.wait()
        for live in lives:
            live.wake()


async def run_service(settings: CollectorSettings) -> None:
    """Collect until SIGTERM or SIGINT."""
    stop = stop_on_signals()
    async with shown_alive(HealthSettings.load().file), open_exchange(settings, stop) as exchange:
        worker = Worker(settings, exchange, stop)
        await worker.run(worker.collect)
    log.info("collector_stopped", inserted=worker.counts.inserted, corrected=worker.counts.corrected)
