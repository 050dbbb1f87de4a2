"""An embedded Postgres: a real server on loopback, of our own process, over data that are kept for the next start."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote

import asyncpg

from deploy.local.cluster import OWNER, Cluster, prepare_cluster
from deploy.local.errors import LocalError, PortTakenError
from deploy.local.hold import hold
from deploy.local.leftover import stop_leftover
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.server import Server
from deploy.local.tuning import EMBEDDED
from shared.logging import get_logger

log = get_logger(__name__)

DATABASE = "minutebook"
# Recovery after a crash reads the log of up to a gigabyte of changes again.
_START_SECONDS = 120.0
_PORT_ATTEMPTS = 20


class EmbeddedPostgres:
    """A Postgres server over the data in `folder`; `start` and `stop` may be called in turn, any number of times.

    The folder holds `data`, `owner_password` (mode 600), `server.log` and `lock`; one process at a time may have it.
    Port 0 is a free one, chosen at the first start and kept.
    The server ends when the process that started it dies, however it dies; where the system cannot promise that
    (outside Linux), the next start ends it.
    """

    def __init__(self, folder: Path, *, port: int = 0, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder.absolute()
        self.port = port
        self._settings = EMBEDDED | dict(settings or {})
        self._lock: IO[str] | None = None
        self._cluster: Cluster | None = None
        self._server: Server | None = None

    @property
    def pid(self) -> int | None:
        """The server's process while it runs."""
        return self._server.pid if self._server is not None and self._server.is_running else None

    def url(self, user: str = OWNER, password: str | None = None, database: str = DATABASE) -> str:
        """Return a URL for a client; without a password the owner's, who is the server's superuser."""
        if self._cluster is None:
            raise RuntimeError("the server has not been started")
        secret = self._cluster.owner_password if password is None else password
        login = f"{quote(user, safe='')}:{quote(secret, safe='')}"
        return f"postgresql://{login}@{LOOPBACK}:{self.port}/{quote(database, safe='')}"

    @property
    def log_path(self) -> Path:
        """Where the server writes what it has to say."""
        return self.folder / "server.log"

    async def start(self) -> None:
        """Start the server and return when it answers; make its data first if there are none.

        Raises InUseError when another process has the folder, PortTakenError, or LocalError with the reason.
        A server that died on its own is started again with this too.
        """
        if self.pid is not None:
            return
        try:
            if self._lock is None:
                self._lock = hold(self.folder)
            durable = self._settings.get("fsync", "on") == "on"
            self._cluster = await asyncio.to_thread(prepare_cluster, self.folder, durable=durable)
            await stop_leftover(self._cluster.data)
            await self._launch(self._cluster)
            await self._ensure_database()
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """Wait until the server ends, and return its exit code (negative: the signal that ended it)."""
        if self._server is None:
            raise RuntimeError("the server has not been started")
        return await self._server.wait()

    async def stop(self) -> None:
        """End the server within a bound, cutting sessions off, and give the folder back; what was committed stays."""
        try:
            if self._server is not None:
                await self._server.end()
        finally:
            self._server = None
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def kill(self) -> None:
        """End the server as a crash would, for tests of what outlives one."""
        if self._server is not None:
            self._server.kill()

    async def _launch(self, cluster: Cluster) -> None:
        deadline = asyncio.get_running_loop().time() + _START_SECONDS
        ports_left = _PORT_ATTEMPTS
        while True:
            port = self.port or free_port()
            self._server = await Server.launch(cluster, self._settings | {"port": str(port)}, self.log_path)
            outcome = await self._server.until_ready(deadline)
            if outcome is None:
                self.port = port
                log.debug("postgres_started", port=port, pid=self.pid, account=cluster.account.name)
                return
            if outcome.port_is_taken:
                if self.port:
                    raise PortTakenError(f"Port {self.port}, which the database is to listen on, is taken.")
                ports_left -= 1
                if ports_left:
                    continue
            if outcome.is_still_ending and asyncio.get_running_loop().time() < deadline:
                # Processes of a server that was killed; no two may ever work on the same data.
                await asyncio.sleep(0.1)
                continue
            raise LocalError(
                f"Postgres does not start on {cluster.data}: {outcome.complaint} (its log: {self.log_path}); "
                f"if the data are damaged, move {self.folder} away to begin anew."
            )

    async def _ensure_database(self) -> None:
        try:
            connection = await asyncpg.connect(self.url(database="postgres"), timeout=_START_SECONDS)
            try:
                if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
                    await connection.execute(f"CREATE DATABASE {DATABASE}")
            finally:
                await connection.close()
        except asyncpg.InvalidPasswordError as error:
            raise LocalError(
                f"{self.folder / 'owner_password'} is not the password of the database beside it: "
                f"put the right one back, or move {self.folder} away to begin anew."
            ) from error
        except (asyncpg.PostgresError, OSError) as error:
            raise LocalError(f"Postgres started but does not serve ({error}); its log: {self.log_path}.") from error


@asynccontextmanager
async def running(
    folder: Path, *, port: int = 0, settings: Mapping[str, str] | None = None
) -> AsyncIterator[EmbeddedPostgres]:
    """Run an embedded Postgres over the data in `folder` as long as the block runs."""
    server = EmbeddedPostgres(folder, port=port, settings=settings)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
