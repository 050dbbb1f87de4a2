"""The collector's life: stand by, lead, collect, and begin anew when Postgres or the leadership was lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic

from collector.backfill import WORKERS
from collector.collection import Collection
from collector.counts import Counts
from collector.heartbeat import BEAT_SECONDS, Heartbeat
from collector.leadership import APPLICATION_PREFIX, STANDBY_SECONDS, acquire_lease, keep_lease, release_lease
from collector.pauses import load_pauses, share_pauses
from collector.recorder import Recorder, open_unpacker
from collector.settings import CollectorSettings
from collector.sources.registry import Sources, group_by_source, load_source_settings, open_sources
from collector.tasks import Job, run_unless_stopping, run_until
from shared.database.connection import Connection
from shared.database.database import Bounds, Database, open_database
from shared.error_groups import find_cause
from shared.errors import DatabaseError, DatabaseUnavailableError, LeadershipLostError
from shared.health import shown_alive
from shared.lifecycle import FIRST_CONNECTION_SECONDS, stop_on_signals, wait
from shared.logging import get_logger
from shared.settings import HealthSettings

log = get_logger(__name__)

MakeJob = Callable[[Database, int], Job]
MakeJobBeside = Callable[[Database], Job]

STATEMENT_SECONDS = 30.0
# Beside those that fill the holes of each source: live minutes, the heartbeat, pauses.
FURTHER_CONNECTIONS = 4
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
CUT_OFF_SECONDS = 3.3
RELEASE_SECONDS = 0.7


class Worker:
    """One collector process: a stand-by until the lease is free, then the leader."""

    def __init__(self, settings: CollectorSettings, sources: Sources, stop: asyncio.Event) -> None:
        self.settings = settings
        self.sources = sources
        self.stop = stop
        self.counts = Counts()
        self.heartbeat = Heartbeat(sources, self.counts)
        self.bounds = Bounds(WORKERS * len(sources) + FURTHER_CONNECTIONS, statement_seconds=STATEMENT_SECONDS)
        self.database_url = settings.database_url.get_secret_value()
        # By which a successor finds this instance's connections and ends them.
        self.application_name = APPLICATION_PREFIX + self.heartbeat.instance
        self._was_connected = False

    async def run(self, make_job: MakeJob, make_job_beside: MakeJobBeside | None = None) -> None:
        """Lead and do a job to its end; trouble with Postgres or a lost leadership begins it anew.

        While another collector leads, stand by; with `make_job_beside`, do that job instead and return. Raises
        DatabaseError when Postgres never answered, and what else the job raises.
        """
        began_at = monotonic()
        while not self.stop.is_set():
            try:
                async with self.open_database() as database:
                    epoch = await self._stand_by(database, is_patient=make_job_beside is None)
                    if epoch is not None:
                        log.info("leading", instance=self.heartbeat.instance, epoch=epoch)
                        await self._lead(database, epoch, make_job(database, epoch))
                    elif make_job_beside:
                        await run_unless_stopping(make_job_beside(database))
                    return
            except (DatabaseUnavailableError, LeadershipLostError, ExceptionGroup) as error:
                cause = find_cause(error)
                is_passing = isinstance(cause, DatabaseUnavailableError | LeadershipLostError)
                if not is_passing or (not self._was_connected and monotonic() - began_at > FIRST_CONNECTION_SECONDS):
                    if cause is error:
                        raise
                    raise cause from error
                log.warning("collecting_interrupted", reason=str(cause))
                await wait(self.stop, LONGEST_PAUSE_SECONDS)

    @asynccontextmanager
    async def open_database(self) -> AsyncIterator[Database]:
        """Open the connections for all but the lease; they are cut off a little after `stop`."""
        async with open_database(self.database_url, self.application_name, self.bounds, SESSION) as database:
            cutting = asyncio.create_task(self._cut_off(database), name="cut-off")
            try:
                yield database
            finally:
                cutting.cancel()

    async def _cut_off(self, database: Database) -> None:
        """End the connections after a stop: even a cancelled statement waits for a server that hangs."""
        await self.stop.wait()
        await asyncio.sleep(CUT_OFF_SECONDS)
        database.terminate()

    async def _stand_by(self, database: Database, *, is_patient: bool) -> int | None:
        """Take the lease, if `is_patient` as soon as it is free; returns the epoch to lead with, None without one."""
        beat_at = 0.0

        async def try_to_lead(connection: Connection) -> int | None:
            return await acquire_lease(connection, self.heartbeat.instance)

        while not self.stop.is_set():
            epoch = await database.write(try_to_lead)
            self._was_connected = True
            if epoch is not None or not is_patient:
                return epoch
            if monotonic() >= beat_at:
                beat_at = monotonic() + BEAT_SECONDS
                await database.write(lambda connection: self.heartbeat.beat(connection, is_leader=False))
            await wait(self.stop, STANDBY_SECONDS)
        return None

    async def _lead(self, database: Database, epoch: int, job: Job) -> None:
        """Do a job while keeping the lease, the heartbeat and the exchanges' pauses; give the lease up at the end."""
        done = asyncio.Event()
        try:
            await database.read(lambda connection: load_pauses(connection, self.sources))
            async with asyncio.TaskGroup() as tasks:
                keepers = {
                    "keep-lease": self._keep_lease(database, epoch, done),
                    "heartbeat": self.heartbeat.keep_beating(database, done),
                    "share-pauses": share_pauses(database, self.sources, done),
                }
                for name, keeper in keepers.items():
                    tasks.create_task(run_unless_stopping(keeper), name=name)
                await run_unless_stopping(job)
                done.set()
        finally:
            job.close()
            await self._release_lease(epoch)

    async def _keep_lease(self, database: Database, epoch: int, done: asyncio.Event) -> None:
        """Renew the lease, on a connection of its own so that no write keeps it waiting; no write outlives it."""
        async with database.connect() as connection:
            try:
                await keep_lease(connection, epoch, done)
            except BaseException as error:
                # Even a cancelled statement waits for a server that hangs, and keeps the connection.
                connection.terminate()
                if isinstance(error, LeadershipLostError):
                    database.terminate()
                raise

    async def _release_lease(self, epoch: int) -> None:
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await release_lease(self.database_url, epoch)
        except (DatabaseError, TimeoutError) as error:
            log.warning("lease_not_released", reason=str(error) or "timed out")

    async def collect(self, database: Database, epoch: int) -> None:
        """Collect all symbols, those of each source for themselves, until `stop`."""
        jobs = {}
        with open_unpacker() as unpacker:
            for name, symbols in group_by_source(self.settings.symbols).items():
                recorder = Recorder(database, self.sources[name], epoch, self.counts, unpacker)
                jobs[f"collect {name}"] = Collection(self.settings, symbols, recorder, self.stop).run()
            await run_until(self.stop, jobs)


async def run_service(settings: CollectorSettings) -> None:
    """Collect until SIGTERM or SIGINT."""
    stop = stop_on_signals()
    async with (
        shown_alive(HealthSettings.load().file),
        open_sources(load_source_settings(settings.symbols), stop) as sources,
    ):
        worker = Worker(settings, sources, stop)
        await worker.run(worker.collect)
    log.info("collector_stopped", inserted=worker.counts.inserted, corrected=worker.counts.corrected)
