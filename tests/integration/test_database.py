"""The one way to Postgres: whose fault an error is, how long it takes, and what is tried again."""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared.database.connection import Connection
from shared.database.database import Bounds, connect, open_database
from shared.database.database import Database as OurDatabase
from shared.errors import (
    DatabaseError,
    DatabaseOutdatedError,
    DatabaseUnavailableError,
    DataRefusedError,
    MinutebookError,
)
from tests.integration.tcp_proxy import Proxy, proxying
from tests.postgres import Database

BOUNDS = Bounds(pool_size=2, connect_seconds=1.0, work_seconds=2.0)
TICK = (
    "INSERT INTO ticks (symbol, minute, open, high, low, close, volume, quote_volume, trades, taker_base_volume,"
    " taker_quote_volume, source) VALUES ('BTCUSDT', '2024-03-05Z', 5, 9, 1, $1::bigint, 1, 5, 1, 1, 5, 'test')"
)


@pytest.fixture
async def proxied(database: Database) -> AsyncIterator[tuple[Proxy, OurDatabase]]:
    """A database behind a proxy that can fail in every way."""
    async with proxying(database.owner_url) as (proxy, url), open_database(url, "test", BOUNDS) as ours:
        yield proxy, ours


@pytest.fixture
async def ours(database: Database) -> AsyncIterator[OurDatabase]:
    """A database that answers."""
    async with open_database(database.owner_url, "test", BOUNDS) as ours:
        yield ours


async def select_one(connection: Connection) -> int:
    """The least that can be asked."""
    value: int = await connection.fetchval("SELECT 1")
    return value


@pytest.mark.parametrize("method", ["read", "write"])
@pytest.mark.parametrize(
    ("query", "arguments", "raised"),
    [
        ("SELECT $1::integer", (), asyncpg.InterfaceError),
        ("SELECT 1", (2,), asyncpg.InterfaceError),
        ("SELECT $1::integer", ("one",), asyncpg.DataError),
        ("SELEC 1", (), asyncpg.PostgresSyntaxError),
        ("SELECT 1 / $1::integer", (0,), asyncpg.DivisionByZeroError),
        ("INSERT INTO leadership (service) VALUES ($1)", ("test",), asyncpg.NotNullViolationError),
    ],
)
async def test_a_programmer_s_mistake_crashes(
    ours: OurDatabase, method: str, query: str, arguments: tuple[object, ...], raised: type[Exception]
) -> None:
    """A wrong number or type of arguments, and bad SQL: to wait for Postgres would not mend them."""

    async def ask(connection: Connection) -> object:
        return await connection.fetchval(query, *arguments)

    with pytest.raises(raised) as caught:
        await getattr(ours, method)(ask)
    assert not isinstance(caught.value, MinutebookError)
    assert await ours.read(select_one) == 1


@pytest.mark.parametrize(
    "raised", [FileNotFoundError("nothing.txt"), TimeoutError("of the work's own"), TypeError("no")]
)
@pytest.mark.parametrize("method", ["read", "write"])
async def test_what_the_work_raises_passes(ours: OurDatabase, method: str, raised: Exception) -> None:
    """A missing file between two statements is no trouble of Postgres's, and the work is not done twice for it."""
    times = 0

    async def work(connection: Connection) -> None:
        nonlocal times
        times += 1
        await connection.execute("SELECT 1")
        raise raised

    with pytest.raises(type(raised)) as caught:
        await getattr(ours, method)(work)
    assert (caught.value, times) == (raised, 1)


async def test_a_connection_that_is_kept_beyond_its_work_is_a_mistake(ours: OurDatabase) -> None:
    """And not an outage."""

    async def keep(connection: Connection) -> Connection:
        return connection

    kept = await ours.read(keep)
    with pytest.raises(asyncpg.InterfaceError):
        await kept.fetchval("SELECT 1")


async def test_what_postgres_refuses_is_said(ours: OurDatabase, database: Database) -> None:
    """A value, a constraint, a right and a table that is not there, each as the error that says what to do."""

    async def run(query: str, *arguments: object) -> None:
        async def work(connection: Connection) -> None:
            await connection.execute(query, *arguments)

        await ours.write(work)

    with pytest.raises(DataRefusedError, match="prices_are_ordered") as caught:
        await run(TICK, 10)
    assert caught.value.constraint == "prices_are_ordered"
    await run(TICK, 5)
    with pytest.raises(DataRefusedError, match="ticks_pkey"):
        await run(TICK, 5)
    with pytest.raises(DataRefusedError, match="out of range"):
        await run("SELECT $1::integer::smallint", 70_000)
    with pytest.raises(DatabaseOutdatedError, match="migrate"):
        await run("SELECT FROM nowhere")
    async with connect(database.api_url, "test") as connection:
        await connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(DatabaseOutdatedError, match="permission denied"):
            await connection.execute("DELETE FROM ticks")


async def test_a_write_is_undone_where_its_work_raises(ours: OurDatabase) -> None:
    """All of it; a savepoint inside only its own part."""

    async def fail(connection: Connection) -> None:
        await connection.execute(TICK, 5)
        raise LookupError

    async def go_on(connection: Connection) -> None:
        with pytest.raises(DataRefusedError):
            async with connection.transaction():
                await connection.execute(TICK, 10)
        await connection.execute(TICK, 5)

    async def count(connection: Connection) -> object:
        return await connection.fetchval("SELECT count(*) FROM ticks")

    with pytest.raises(LookupError):
        await ours.write(fail)
    assert await ours.read(count) == 0
    await ours.write(go_on)
    assert await ours.read(count) == 1


async def test_a_snapshot_sees_one_state(ours: OurDatabase) -> None:
    """What others commit meanwhile is seen by the next; and nothing can be written in it."""

    async def insert(connection: Connection) -> None:
        await connection.execute(TICK, 5)

    async def count_twice(connection: Connection) -> tuple[object, object]:
        before = await connection.fetchval("SELECT count(*) FROM ticks")
        if not before:
            await ours.write(insert)
        return before, await connection.fetchval("SELECT count(*) FROM ticks")

    assert await ours.read(count_twice, snapshot=True) == (0, 0)
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await ours.read(insert, snapshot=True)
    assert await ours.write(count_twice) == (1, 1)


async def test_a_read_is_tried_once_more_where_the_server_cut_its_connection(
    proxied: tuple[Proxy, OurDatabase],
) -> None:
    """A write is not: nobody knows whether it was committed."""
    proxy, ours = proxied
    times = 0

    async def cut_the_first(connection: Connection) -> int:
        nonlocal times
        times += 1
        if times == 1:
            proxy.cut()
        return await select_one(connection)

    assert (await ours.read(cut_the_first), times) == (1, 2)
    times = 0
    with pytest.raises(DatabaseUnavailableError):
        await ours.write(cut_the_first)
    assert times == 1
    assert await ours.write(select_one) == 1


@pytest.mark.parametrize("snapshot", [False, True])
async def test_a_statement_that_takes_too_long_is_not_tried_again(database: Database, snapshot: bool) -> None:
    """That would double the load of a server that is short of time already; the connection serves on."""
    times, backends = 0, set()

    async def sleep(connection: Connection) -> None:
        nonlocal times
        times += 1
        backends.add(await connection.fetchval("SELECT pg_backend_pid()"))
        await connection.execute("SELECT pg_sleep(60)")

    async def note(connection: Connection) -> None:
        backends.add(await connection.fetchval("SELECT pg_backend_pid()"))

    session = {"statement_timeout": "50ms"}
    async with open_database(database.owner_url, "test", BOUNDS, session) as ours:
        with pytest.raises(DatabaseUnavailableError, match=r"cannot serve this now .*statement timeout"):
            await ours.read(sleep, snapshot=snapshot)
        await ours.read(note)
    assert (times, len(backends)) == (1, 1)


@pytest.mark.parametrize(
    ("state", "raised"),
    [
        ("08006", DatabaseUnavailableError),
        ("25P03", DatabaseUnavailableError),
        ("25P04", DatabaseUnavailableError),
        ("40001", DatabaseUnavailableError),
        ("40P01", DatabaseUnavailableError),
        ("42501", DatabaseOutdatedError),
        ("42P01", DatabaseOutdatedError),
        ("53100", DatabaseUnavailableError),
        ("53200", DatabaseUnavailableError),
        ("53300", DatabaseUnavailableError),
        ("55P03", DatabaseUnavailableError),
        ("57014", DatabaseUnavailableError),
        ("57P01", DatabaseUnavailableError),
        ("57P05", DatabaseUnavailableError),
        ("58030", DatabaseUnavailableError),
        ("22003", DataRefusedError),
        ("23514", DataRefusedError),
        ("42601", asyncpg.PostgresSyntaxError),
        ("42804", asyncpg.DatatypeMismatchError),
        ("P0001", asyncpg.RaiseError),
    ],
)
async def test_each_state_is_the_error_that_says_what_to_do(
    ours: OurDatabase, state: str, raised: type[Exception]
) -> None:
    """What passes by waiting, what `migrate` mends, what the data are wrong in, what only a programmer mends."""

    async def fail(connection: Connection) -> None:
        await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$")

    with pytest.raises(raised) as caught:
        await ours.write(fail)
    assert type(caught.value) is raised or isinstance(caught.value, DatabaseUnavailableError)


async def test_a_table_that_changed_under_a_prepared_statement_is_asked_for_again(
    ours: OurDatabase, database: Database
) -> None:
    """As while a new version is rolled out: the caller's next try does."""

    async def select(connection: Connection) -> object:
        return await connection.fetchrow("SELECT * FROM changing")

    async with connect(database.owner_url, "test") as other:
        await other.execute("CREATE TABLE changing (x integer)")
        await asyncio.gather(*(ours.write(select) for _ in range(BOUNDS.pool_size)))
        await other.execute("ALTER TABLE changing ALTER COLUMN x TYPE text")
        for _ in range(BOUNDS.pool_size):
            try:
                await ours.write(select)
            except DatabaseUnavailableError:
                continue
        assert await ours.write(select) is None


@pytest.mark.parametrize("method", ["read", "write"])
async def test_a_server_that_hangs_costs_no_more_than_the_bound(
    proxied: tuple[Proxy, OurDatabase], method: str
) -> None:
    """However many ask, and the pool serves again when the server does."""
    proxy, ours = proxied
    assert await ours.read(select_one) == 1
    proxy.hold()
    began = time.monotonic()
    tries = [getattr(ours, method)(select_one, seconds=0.5) for _ in range(6)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert time.monotonic() - began < 1.5
    assert [type(outcome) for outcome in outcomes] == [DatabaseUnavailableError] * 6
    proxy.resume()
    assert await ours.read(select_one) == 1


async def test_a_refused_connection_is_said_and_another_try_may_do(proxied: tuple[Proxy, OurDatabase]) -> None:
    """Nothing needs to be made anew."""
    proxy, ours = proxied
    await proxy.refuse()
    for method in (ours.read, ours.write):
        with pytest.raises(DatabaseUnavailableError, match="check that it runs"):
            await method(select_one)
    with pytest.raises(DatabaseUnavailableError):
        async with ours.connect():
            pass
    await proxy.open()
    assert await ours.read(select_one) == 1


async def test_cancelled_work_leaves_no_connection_behind(ours: OurDatabase) -> None:
    """More often than there are connections."""

    async def sleep(connection: Connection) -> None:
        await connection.execute("SELECT pg_sleep(60)")

    for _ in range(2 * BOUNDS.pool_size):
        for method in (ours.read, ours.write):
            work = asyncio.ensure_future(method(sleep))
            await asyncio.sleep(0)
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work
    assert await ours.read(select_one) == 1


async def test_termination_ends_work_under_way_and_refuses_what_comes_later(ours: OurDatabase) -> None:
    """As a leader that has lost its lease must stop at once."""
    is_asleep = asyncio.Event()

    async def sleep(connection: Connection) -> None:
        is_asleep.set()
        await connection.execute("SELECT pg_sleep(60)")

    work = asyncio.ensure_future(ours.write(sleep))
    async with asyncio.timeout(5):
        await is_asleep.wait()
        ours.terminate()
        with pytest.raises(DatabaseUnavailableError):
            await work
    with pytest.raises(DatabaseUnavailableError, match="cut off"):
        await ours.read(select_one)


async def test_a_connection_of_its_own_takes_none_of_the_pool(ours: OurDatabase) -> None:
    """A lease is renewed however busy the pool is; and it can listen."""
    heard: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def notify(connection: Connection) -> None:
        await connection.execute("SELECT pg_notify('test', 'payload')")

    async with ours.connect() as own, ours.connect(), ours.connect():
        await own.listen("test", heard.set_result)
        await ours.write(notify)
        async with asyncio.timeout(5):
            assert await heard == "payload"
        with pytest.raises(DatabaseUnavailableError, match="timed out"):
            await own.execute("SELECT pg_sleep(60)", timeout_seconds=0.05)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql://api@127.0.0.1:port/minutebook", "cannot be read"),
        ("postgresql:///minutebook?host=a,b&port=1,2,3", "cannot be read"),
    ],
)
async def test_a_url_that_cannot_be_read_is_said(url: str, sentence: str) -> None:
    """When the first connection is opened."""
    async with open_database(url, "test", BOUNDS) as ours:
        with pytest.raises(DatabaseError, match=sentence):
            await ours.read(select_one)
    with pytest.raises(DatabaseError, match=sentence):
        async with connect(url, "test"):
            pass


async def test_a_copy_stores_all_or_says_why(ours: OurDatabase) -> None:
    """Lines may be cut anywhere."""

    async def copy(connection: Connection, *pieces: bytes) -> object:
        await connection.execute("CREATE TEMPORARY TABLE copied (a integer, b text)")
        await connection.copy_csv("copied", ("a", "b"), pieces)
        return [tuple(row) for row in await connection.fetch("SELECT a, b FROM copied ORDER BY a")]

    assert await ours.write(lambda connection: copy(connection, b"1,on", b'e\n2,"tw', b'o"\n')) == [
        (1, "one"),
        (2, "two"),
    ]
    async with ours.connect() as connection:
        with pytest.raises(DataRefusedError, match="invalid input syntax"):
            await copy(connection, b"x,one\n")
