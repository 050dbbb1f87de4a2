"""Versions of the schema: every older database becomes what a new one is, and keeps its data."""

import asyncio
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.database.connection import Connection
from shared.database.database import connect
from shared.database.migrate import migrate
from shared.database.versions import MIGRATIONS_FOLDER, Migration, advance_schema, read_migrations
from shared.errors import DatabaseError
from tests.integration.catalogue import select_objects
from tests.postgres import Database

VERSION_0 = Path(__file__).parent / "schema_0"


async def make_version_0(connection: Connection) -> None:
    """Make the schema of before there were versions, with some rows in every table."""
    for file in ("init.sql", "data.sql"):
        await connection.execute((VERSION_0 / file).read_text(encoding="utf-8"))


async def select_rows(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of all tables."""
    tables = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    return {
        table: sorted((dict(row) for row in await connection.fetch(f"SELECT * FROM {table}")), key=str)
        for (table,) in tables
    }


def select_common(rows: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with the columns alone that the others have too."""
    return sorted(({name: row[name] for name in row if name in others[0]} for row in rows), key=str)


async def test_a_database_without_versions_becomes_what_a_new_one_is(
    database: Database, empty_database: Database
) -> None:
    """Object by object: tables, columns, constraints, indexes, functions, triggers, policies and each role's rights."""
    async with connect(empty_database.owner_url, "test") as old, connect(database.owner_url, "test") as new:
        await make_version_0(old)
        before = await select_objects(old)
        await migrate(empty_database.owner_url, {})
        after, fresh = await select_objects(old), await select_objects(new)
        versions = "SELECT version, name, checksum FROM schema_versions ORDER BY version"
        assert await old.fetch(versions) == await new.fetch(versions)
    assert before != after
    differing = {name: (after.get(name), fresh.get(name)) for name in after.keys() | fresh.keys()}
    assert {name: pair for name, pair in differing.items() if pair[0] != pair[1]} == {}


async def test_a_database_without_versions_keeps_its_data(empty_database: Database) -> None:
    """Each row of each table, with every value that the new schema has under its old name, and the others moved."""
    async with connect(empty_database.owner_url, "test") as connection:
        await make_version_0(connection)
        before = await select_rows(connection)
        assert [table for table, rows in before.items() if not rows] == []
        await migrate(empty_database.owner_url, {})
        after = await select_rows(connection)

        assert before.keys() - after.keys() == {"exchange_pause"}
        for table in before.keys() & after.keys():
            assert select_common(before[table], after[table]) == select_common(after[table], before[table]), table

        [pause] = before["exchange_pause"]
        assert after["exchange_pauses"] == [{"source": "binance", "until": pause["until"], "reason": pause["reason"]}]
        [beat] = [row for row in before["heartbeats"] if row["exchange_time"]]
        assert after["exchange_clocks"] == [
            {"source": "binance", "exchange_time": beat["exchange_time"], "told_at": beat["beat_at"]}
        ]
        for old, forecast in zip(before["forecasts"], after["forecasts"], strict=True):
            assert forecast["levels"] == [50, 80, 95]
            assert forecast["lower_bounds"] == [old["lower_50"], old["lower_80"], old["lower_95"]]
            assert forecast["upper_bounds"] == [old["upper_50"], old["upper_80"], old["upper_95"]]
        for old, score in zip(before["forecast_scores"], after["forecast_scores"], strict=True):
            assert score["levels"] == [50, 80, 95]
            assert score["covered"] == [old["covered_50"], old["covered_80"], old["covered_95"]]
            assert score["winkler"] == [old["winkler_50"], old["winkler_80"], old["winkler_95"]]


async def test_each_version_goes_on_to_the_newest(database: Database, empty_database: Database) -> None:
    """One file at a time, as one who takes every release, and by several at once."""
    migrations = read_migrations()
    async with connect(empty_database.owner_url, "test") as old, connect(database.owner_url, "test") as new:
        await make_version_0(old)
        for count in range(len(migrations)):
            async with old.transaction():
                assert await advance_schema(old, migrations[:count])
            assert await old.fetchval("SELECT count(*) FROM schema_versions") == count
        await asyncio.gather(*(migrate(empty_database.owner_url, {}) for _ in range(3)))
        assert await select_objects(old) == await select_objects(new)


async def test_a_second_run_changes_nothing_and_waits_for_nobody(database: Database) -> None:
    """It runs at each start of a stack, beside services that read and write."""
    async with connect(database.owner_url, "test") as connection, connect(database.owner_url, "test") as busy:
        before = await select_objects(connection)
        async with busy.transaction(), asyncio.timeout(10):
            tables = [name.partition(".")[2] for name in before if re.match(r"relation public\.\w+$", name)]
            for table in tables:
                # An index is no table, and has no lock of this kind.
                if f"index public.{table}" not in before:
                    await busy.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE")
            await migrate(database.owner_url, {})
        assert await select_objects(connection) == before


async def test_rights_are_made_whole_after_a_restore_without_them(database: Database, empty_database: Database) -> None:
    """As of a dump that was restored before the roles were there, or without its owners and rights."""
    async with connect(database.owner_url, "test") as connection:
        before = await select_objects(connection)
        for statement in (
            "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM collector, predictor, api",
            "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM collector, predictor, api",
            "REVOKE ALL ON SCHEMA public FROM collector, predictor, api",
            "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO PUBLIC",
            "GRANT DELETE ON ticks TO collector",
            "GRANT UPDATE (created_at) ON ticks TO collector",
        ):
            await connection.execute(statement)
        assert await select_objects(connection) != before
        await migrate(database.owner_url, {})
        assert await select_objects(connection) == before


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            "INSERT INTO schema_versions (version, name, checksum) VALUES (9999, '9999_later.sql', '')",
            r"The database has version 9999 of the schema and this Minutebook knows \d+; run a newer Minutebook\.",
        ),
        (
            "UPDATE schema_versions SET checksum = 'another' WHERE version = 1",
            (
                r"The database was migrated with another 0001_\w+\.sql than shared/database/migrations has;"
                r" restore that file, and put changes into a new one\."
            ),
        ),
    ],
)
async def test_a_database_of_other_files_is_refused(database: Database, change: str, sentence: str) -> None:
    """With one sentence and exit 2, and nothing is changed."""
    async with connect(database.owner_url, "test") as connection:
        await connection.execute(change)
        before = await select_objects(connection), await select_rows(connection)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "shared.database", "migrate"),
            env={"MIGRATE_DATABASE_URL": database.owner_url},
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
        )
        _, complaint = await process.communicate()
        assert process.returncode == 2
        assert re.fullmatch(rf"shared\.database: {sentence}\n", complaint.decode())
        assert (await select_objects(connection), await select_rows(connection)) == before


async def update(connection: Connection, migrations: Sequence[Migration]) -> None:
    """Run file after file, each in a transaction."""
    is_newest = False
    while not is_newest:
        async with connection.transaction():
            is_newest = await advance_schema(connection, migrations)


async def test_a_file_that_fails_leaves_what_those_before_it_made(empty_database: Database) -> None:
    """Each file is a transaction, so that the next try goes on where this one ended."""
    known = read_migrations()
    wrong = Migration(len(known) + 1, "wrong.sql", "CREATE TABLE half (); SELECT 1 / 0")
    async with connect(empty_database.owner_url, "test") as connection:
        await make_version_0(connection)
        with pytest.raises(DatabaseError, match=r"wrong.sql cannot be run on this database \(division by zero\)"):
            await update(connection, [*known, wrong])
        assert await connection.fetchval("SELECT to_regclass('half')") is None
        assert await connection.fetchval("SELECT max(version) FROM schema_versions") == len(known)
        await update(connection, [*known, wrong._replace(script="CREATE TABLE whole ()")])
        assert await connection.fetchval("SELECT to_regclass('whole') IS NOT NULL")


async def test_a_file_that_takes_long_keeps_no_table_of_those_before_it(empty_database: Database) -> None:
    """The first one needs all of `ticks` for an instant; who reads and writes them waits for no other file."""
    slow = Migration(2, "slow.sql", "SELECT pg_advisory_xact_lock(1)")
    async with (
        connect(empty_database.owner_url, "test") as connection,
        connect(empty_database.owner_url, "test") as other,
    ):
        await make_version_0(connection)
        await other.execute("SELECT pg_advisory_lock(1)")
        async with asyncio.TaskGroup() as tasks, asyncio.timeout(20):
            updating = tasks.create_task(update(connection, [read_migrations()[0], slow]))
            while not await other.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                await asyncio.sleep(0.01)
            assert await other.fetchval("SELECT count(*) FROM ticks", timeout_seconds=5)
            await other.execute("UPDATE ticks SET corrected_at = now()", timeout_seconds=5)
            assert not updating.done()
            await other.execute("SELECT pg_advisory_unlock(1)")


async def test_a_database_that_was_not_migrated_for_long_gets_what_it_lacks(
    database: Database, empty_database: Database
) -> None:
    """Two columns came before there were versions."""
    async with connect(empty_database.owner_url, "test") as old, connect(database.owner_url, "test") as new:
        await make_version_0(old)
        await old.execute("ALTER TABLE collected_symbols DROP COLUMN until")
        await old.execute("ALTER TABLE absences DROP COLUMN is_refused")
        await migrate(empty_database.owner_url, {})
        assert await select_objects(old) == await select_objects(new)


async def test_a_database_of_before_there_were_forecasts_is_refused(empty_database: Database) -> None:
    """With a sentence that does not send its reader in a circle."""
    async with connect(empty_database.owner_url, "test") as connection:
        await make_version_0(connection)
        await connection.execute("DROP TABLE forecast_scores, forecasts_due, forecasts, trainings, models")
    with pytest.raises(DatabaseError, match="older than what can be migrated"):
        await migrate(empty_database.owner_url, {})


async def test_what_others_made_of_a_table_is_not_destroyed(empty_database: Database) -> None:
    """The migration ends with a sentence that names it, and goes on when it is gone."""
    async with connect(empty_database.owner_url, "test") as connection:
        await make_version_0(connection)
        await connection.execute("CREATE VIEW theirs AS SELECT point FROM forecasts")
        with pytest.raises(DatabaseError, match=r"needs what is replaced \(view theirs .*drop it, migrate"):
            await migrate(empty_database.owner_url, {})
        assert await connection.fetchval("SELECT count(*) FROM theirs")
        await connection.execute("DROP VIEW theirs")
        await migrate(empty_database.owner_url, {})


@pytest.mark.parametrize("names", [["0001_one.sql", "0001_two.sql"], ["0001_one.sql", "0003_three.sql"]])
def test_a_number_twice_or_left_out_is_refused(tmp_path: Path, names: list[str]) -> None:
    """As when two branches each added a file."""
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(DatabaseError, match=rf"has {names[1]} where 0002 is due"):
        read_migrations(tmp_path)


def test_files_are_numbered_without_a_gap() -> None:
    """Two branches that each add a file would else have the same number."""
    migrations = read_migrations()
    assert [migration.version for migration in migrations] == list(range(1, len(migrations) + 1))
    assert [migration.name for migration in migrations] == sorted(file.name for file in MIGRATIONS_FOLDER.iterdir())


def test_a_checksum_is_of_the_text(tmp_path: Path) -> None:
    """However the lines of a checked-out file end."""
    (tmp_path / "0001_one.sql").write_bytes(b"SELECT 1;\nSELECT 2;\n")
    (tmp_path / "0002_two.sql").write_bytes(b"SELECT 1;\r\nSELECT 2;\r\n")
    one, two = read_migrations(tmp_path)
    assert one.checksum == two.checksum
