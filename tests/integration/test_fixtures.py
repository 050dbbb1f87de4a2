"""The fixtures themselves: each test has its own database, and the roles are what the migration made."""

import asyncio
import os
import signal
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import asyncpg
import pytest

from tests.postgres import Database, OwnPostgres, own_folder
from tests.processes import ROOT, is_alive, python, until

INSERT = "INSERT INTO collected_symbols (symbol, position, since) VALUES ('BTCUSDT', 1, now())"


@pytest.mark.parametrize("turn", [1, 2])
async def test_database_starts_empty_whatever_other_tests_wrote(database: Database, turn: int) -> None:
    """What a test writes is gone with its database, though other sessions may still be open."""
    collector = await asyncpg.connect(database.collector_url)
    assert await collector.fetchval("SELECT count(*) FROM collected_symbols") == 0
    await collector.execute(INSERT)
    still_open = await asyncpg.connect(database.api_url)
    assert await still_open.fetchval("SELECT count(*) FROM collected_symbols") == 1
    await collector.close()
    still_open.terminate()


async def test_roles_have_the_rights_of_the_migration_on_a_copy(database: Database) -> None:
    """A copied database keeps its template's rights: no role may make tables, temporary or not."""
    for url in (database.api_url, database.collector_url, database.predictor_url):
        connection = await asyncpg.connect(url)
        for statement in ("CREATE TABLE intruder (x int)", "CREATE TEMPORARY TABLE intruder (x int)"):
            with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)):
                await connection.execute(statement)
        await connection.close()


async def test_empty_database_has_no_schema(empty_database: Database) -> None:
    """It is what a first migration finds."""
    connection = await asyncpg.connect(empty_database.owner_url)
    assert await connection.fetchval("SELECT to_regclass('ticks')") is None
    await connection.close()


async def test_crashable_server_keeps_what_it_acknowledged(crashable_postgres: OwnPostgres) -> None:
    """A commit that was answered outlives kill -9, behind the same URL."""
    for count in range(1, 4):
        connection = await asyncpg.connect(crashable_postgres.database.owner_url)
        await connection.execute(INSERT.replace("BTCUSDT", f"S{count}USDT"))
        await crashable_postgres.crash()
        await crashable_postgres.start()
        connection = await asyncpg.connect(crashable_postgres.database.collector_url)
        assert await connection.fetchval("SELECT count(*) FROM collected_symbols") == count
        await connection.close()


SAMPLE = """
import asyncio
import pathlib
import pytest

async def test_database(database):
    assert database.owner_url

@pytest.mark.engine
def test_engine():
    raise AssertionError

async def test_hangs(database, crashable_postgres):
    text = f"{crashable_postgres.server.pid} {crashable_postgres.server.folder}"
    pathlib.Path(__file__).with_name("started").write_text(text)
    await asyncio.sleep(600)
"""


def session(folder: Path, *arguments: str) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
    """Run pytest over the sample, where no container engine answers."""
    sample = folder / "test_sample.py"
    sample.write_text(SAMPLE, encoding="utf-8")
    plugins = ("-p", "tests.conftest", "-p", "no:cacheprovider", f"--rootdir={ROOT}")
    command = ("-m", "pytest", "-c", str(ROOT / "pyproject.toml"), *plugins, *arguments, str(sample))
    return python(*command, environment={"DOCKER_HOST": "tcp://127.0.0.1:1"})


async def test_session_without_an_engine_says_what_it_uses_and_skips(tmp_path: Path) -> None:
    """The tests of the database run all the same; what needs an engine is not passed over in silence."""
    async with session(tmp_path, "-k", "not hangs") as process:
        shown, _ = await process.communicate()
    assert process.returncode == 0, shown
    assert b"postgres: embedded (no container engine answers)" in shown
    assert b"skipped: 1 tests that need a container engine (no container engine answers)" in shown
    assert b"1 passed, 1 skipped" in shown


async def test_container_that_was_asked_for_is_not_replaced_in_silence(tmp_path: Path) -> None:
    """Bad usage, said in one line."""
    async with session(tmp_path, "--postgres=container") as process:
        _, complaint = await process.communicate()
    assert process.returncode == pytest.ExitCode.USAGE_ERROR
    assert b"--postgres=container: no container engine answers" in complaint


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_interrupted_session_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C removes servers and folders at once; after kill -9 the servers end, and the next session sweeps up."""
    started = tmp_path / "started"
    async with session(tmp_path, "-k", "hangs") as process:
        await until(lambda: started.exists() and bool(started.read_text(encoding="utf-8")))
        server, folder = started.read_text(encoding="utf-8").split(maxsplit=1)
        os.killpg(process.pid, number)
        await process.communicate()
    await until(lambda: not is_alive(int(server)))
    if number == signal.SIGKILL:
        with own_folder():
            pass
    await until(lambda: not Path(folder).exists())
