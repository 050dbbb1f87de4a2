"""The Postgres of the tests: one server a session, in a container or embedded, and a fresh database for each test."""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

from deploy.local.postgres import EmbeddedPostgres, running
from deploy.local.tuning import NOT_DURABLE
from shared.database.connection import Connection, DriverConnection
from shared.database.migrate import ROLES, migrate
from tests.engine import is_running, labels, remove_abandoned
from tests.processes import descendants

AnyConnection: TypeAlias = "Connection | DriverConnection"

IMAGE = "postgres:18-trixie"
_FOLDER_PREFIX = "minutebook-tests-"


@dataclass(frozen=True)
class Database:
    """One database, as each of the roles reaches it; `passwords` are the roles', and the whole server's."""

    owner_url: str
    passwords: Mapping[str, str]

    def url(self, role: str) -> str:
        """Return the URL for a role other than the owner."""
        parts = urlsplit(self.owner_url)
        login = f"{quote(role, safe='')}:{quote(self.passwords[role], safe='')}"
        return urlunsplit(parts._replace(netloc=f"{login}@{parts.hostname}:{parts.port}"))

    @property
    def collector_url(self) -> str:
        """What the collector connects with."""
        return self.url("collector")

    @property
    def predictor_url(self) -> str:
        """What the predictor connects with."""
        return self.url("predictor")

    @property
    def api_url(self) -> str:
        """What the API connects with."""
        return self.url("api")


@dataclass(frozen=True)
class Server:
    """A server with a migrated template; `owner` is its maintenance database."""

    owner: Database
    template: str

    def database(self, name: str) -> Database:
        """Return the database of that name, whether it exists or not."""
        return Database(with_database(self.owner.owner_url, name), self.owner.passwords)

    @asynccontextmanager
    async def cloned(self, template: str) -> AsyncIterator[Database]:
        """A copy of a database of this server, dropped at the end, whoever is still connected to it."""
        name = f"test_{secrets.token_hex(8)}"
        connection = await asyncpg.connect(self.owner.owner_url)
        try:
            # 13 ms; through the write-ahead log, which is the default, 24 ms. `name` and `template` are ours.
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
            # A copy has its template's tables and their rights, but not the rights on the database itself.
            rights = "SELECT datacl FROM pg_database WHERE datname = $1"
            await connection.execute(
                f"UPDATE pg_database SET datacl = ({rights}) WHERE datname = $2",
                template,
                name,
            )
            try:
                yield self.database(name)
            finally:
                await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        finally:
            await connection.close()


class OwnPostgres:
    """A migrated, embedded server for one test, which may kill it, stop it and start it again."""

    def __init__(self, server: EmbeddedPostgres, passwords: Mapping[str, str]) -> None:
        self.server = server
        self.database = Database(server.url(), passwords)

    def cloned(self) -> AbstractAsyncContextManager[Database]:
        """Another migrated database of it; nobody may be connected to the first one just now."""
        maintenance = Database(with_database(self.database.owner_url, "postgres"), self.database.passwords)
        template = urlsplit(self.database.owner_url).path.removeprefix("/")
        return Server(maintenance, template).cloned(template)

    async def crash(self) -> None:
        """End it as kill -9 does."""
        self.server.kill()
        await self.server.wait()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Let all its processes stand still while the block runs: what is connected stays so, and is not answered."""
        assert self.server.pid is not None
        numbers = descendants(self.server.pid)
        try:
            for number in numbers:
                os.kill(number, signal.SIGSTOP)
            yield
        finally:
            for number in numbers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGCONT)

    async def stop(self) -> None:
        """Stop it; its data stay."""
        await self.server.stop()

    async def start(self) -> None:
        """Start it again, on the same port, and return when it answers."""
        await self.server.start()


@asynccontextmanager
async def embedded_server() -> AsyncIterator[Server]:
    """A server of the installed wheel."""
    with own_folder() as folder:
        async with running(folder / "postgres", settings=NOT_DURABLE) as postgres:
            yield await _with_template(postgres.url())


@asynccontextmanager
async def container_server() -> AsyncIterator[Server]:
    """A server of the public image in a container."""
    # Importing it reads the engine's settings, so it waits until it is known that there is one.
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415
    from testcontainers.core.config import testcontainers_config  # noqa: PLC0415

    # The reaper is one more image; `remove_abandoned` does its work.
    testcontainers_config.ryuk_disabled = True
    await asyncio.to_thread(remove_abandoned)
    settings = [part for name, value in NOT_DURABLE.items() for part in ("-c", f"{name}={value}")]
    container = PostgresContainer(
        IMAGE,
        username="minutebook",
        password=secrets.token_urlsafe(16),
        dbname="minutebook",
        driver=None,
        command=["postgres", *settings],
        labels=labels(),
    )
    try:
        await asyncio.to_thread(container.start)
        yield await _with_template(container.get_connection_url())
    finally:
        await asyncio.to_thread(container.stop)


@asynccontextmanager
async def own_postgres() -> AsyncIterator[OwnPostgres]:
    """An embedded server that keeps what it acknowledged when it is killed."""
    settings = {name: value for name, value in NOT_DURABLE.items() if name != "synchronous_commit"}
    with own_folder() as folder:
        async with running(folder / "postgres", settings=settings) as postgres:
            passwords = _passwords()
            await migrate(postgres.url(), passwords)
            yield OwnPostgres(postgres, passwords)


def with_database(url: str, name: str) -> str:
    """Return the URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote(name, safe='')}"))


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A folder of this process, removed at the end, beside which those of killed processes are removed."""
    base = Path(tempfile.gettempdir())
    for left in base.glob(f"{_FOLDER_PREFIX}*"):
        process = left.name.removeprefix(_FOLDER_PREFIX).partition("-")[0]
        if process.isdigit() and not is_running(int(process)) and left.stat().st_uid == os.geteuid():
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_FOLDER_PREFIX}{os.getpid()}-") as folder:
        yield Path(folder)


async def _with_template(owner_url: str) -> Server:
    """Migrate the database that the URL names, and make it the server's template."""
    passwords = _passwords()
    await migrate(owner_url, passwords)
    template = urlsplit(owner_url).path.removeprefix("/")
    return Server(owner=Database(with_database(owner_url, "postgres"), passwords), template=template)


def _passwords() -> dict[str, str]:
    return {role: secrets.token_urlsafe(12) for role in ROLES}
