"""Runs an embedded Postgres: a real server on loopback, started by this process; its data outlive it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote

from deploy.local.cluster import OWNER, Cluster, prepare_cluster
from deploy.local.errors import LocalError, PortTakenError
from deploy.local.folder_lock import lock_folder
from deploy.local.orphaned_server import stop_orphaned_server
from deploy.local.ports import LOOPBACK, find_free_port
from deploy.local.server import Server
from deploy.local.tuning import EMBEDDED
from shared.database.database import Bounds, open_database
from shared.errors import DatabaseError, DatabaseUnavailableError
from shared.logging import get_logger

log = get_logger(__name__)

DATABASE = "minutebook"
# After a crash the server replays up to a gigabyte of its log before it answers.
_START_SECONDS = 120.0
_PORT_ATTEMPTS = 20


class EmbeddedPostgres:
    """A Postgres server with its data in `folder`; it can be started and stopped any number of times.

    The folder holds `data`, `owner_password` (mode 600), `server.log` and `lock`; one process at a time can use it.
    With port 0 the first start chooses a free port, which later starts keep. The server ends when the process that
    started it dies, even by a kill; where the system cannot do that (outside Linux), the next start stops it.
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
        """The server's process number; None while it does not run."""
        return self._server.pid if self._server is not None and self._server.is_running else None

    def url(self, user: str = OWNER, password: str | None = None, database: str = DATABASE) -> str:
        """Return a URL for a client; without a password it is that of the owner, the server's superuser."""
        if self._cluster is None:
            raise RuntimeError("the server has not been started")
        secret = self._cluster.owner_password if password is None else password
        login = f"{quote(user, safe='')}:{quote(secret, safe='')}"
        return f"postgresql://{login}@{LOOPBACK}:{self.port}/{quote(database, safe='')}"

    @property
    def log_path(self) -> Path:
        """The file that the server writes its log to."""
        return self.folder / "server.log"

    async def start(self) -> None:
        """Start the server, create its data if there are none, and return when it answers.

        Also starts a server again that has died. Raises InUseError when another process uses the folder,
        PortTakenError when the port is taken, and LocalError for any other reason.
        """
        if self.pid is not None:
            return
        try:
            if self._lock is None:
                self._lock = lock_folder(self.folder)
            durable = self._settings.get("fsync", "on") == "on"
            self._cluster = await asyncio.to_thread(prepare_cluster, self.folder, durable=durable)
            await stop_orphaned_server(self._cluster.data)
            await self._launch(self._cluster)
            await self._ensure_database()
        except BaseException:
            await self.stop()
            raise

    async def wait(self) -> int:
        """Wait until the server ends; returns its exit code, or minus the number of the signal that ended it."""
        if self._server is None:
            raise RuntimeError("the server has not been started")
        return await self._server.wait()

    async def stop(self) -> None:
        """Stop the server within a bound, ending its sessions, and unlock the folder; committed data stay."""
        try:
            if self._server is not None:
                await self._server.stop()
        finally:
            self._server = None
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def kill(self) -> None:
        """Kill the server as a crash would; for tests."""
        if self._server is not None:
            self._server.kill()

    async def _launch(self, cluster: Cluster) -> None:
        deadline = asyncio.get_running_loop().time() + _START_SECONDS
        ports_left = _PORT_ATTEMPTS
        while True:
            port = self.port or find_free_port()
            self._server = await Server.launch(cluster, self._settings | {"port": str(port)}, self.log_path)
            failure = await self._server.wait_until_ready(deadline)
            if failure is None:
                self.port = port
                log.debug("postgres_started", port=port, pid=self.pid, account=cluster.account.name)
                return
            if failure.port_is_taken:
                if self.port:
                    raise PortTakenError(
                        f"Port {self.port}, on which the database is to listen, is taken: stop the program that has it."
                    )
                ports_left -= 1
                if ports_left:
                    continue
            if failure.is_still_ending and asyncio.get_running_loop().time() < deadline:
                # Child processes of a killed server still use the data; wait until they have ended.
                await asyncio.sleep(0.1)
                continue
            raise LocalError(
                f"Postgres does not start on {cluster.data}: {failure.reason} (its log: {self.log_path}); "
                f"if the data are damaged, move {self.folder} away to start with an empty database."
            )

    async def _ensure_database(self) -> None:
        bounds = Bounds(pool_size=1, connect_seconds=_START_SECONDS)
        url = self.url(database="postgres")
        try:
            async with open_database(url, "embedded-postgres", bounds) as database, database.connect() as connection:
                if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
                    await connection.execute(f"CREATE DATABASE {DATABASE}")
        except DatabaseUnavailableError as error:
            raise LocalError(f"Postgres started but does not answer: see its log, {self.log_path}.") from error
        except DatabaseError as error:
            # The server answers, and the user and the database exist: what it refuses is the password.
            raise LocalError(
                f"{self.folder / 'owner_password'} is not the password of the database beside it: "
                f"put the right one back, or move {self.folder} away to start with an empty database."
            ) from error


@asynccontextmanager
async def running(
    folder: Path, *, port: int = 0, settings: Mapping[str, str] | None = None
) -> AsyncIterator[EmbeddedPostgres]:
    """Run an embedded Postgres with its data in `folder` while the block runs."""
    server = EmbeddedPostgres(folder, port=port, settings=settings)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
