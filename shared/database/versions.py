"""The versions of the schema: `init.sql` makes the newest one, and numbered files bring an older one up to it."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import asyncpg

from shared.database.connection import Connection, Record
from shared.database.failures import reason_of
from shared.errors import DatabaseError, DatabaseOutdatedError, DataRefusedError
from shared.logging import get_logger

log = get_logger(__name__)

SCHEMA_FILE = Path(__file__).resolve().parents[2] / "init.sql"
MIGRATIONS_FOLDER = Path(__file__).resolve().parent / "migrations"


class Migration(NamedTuple):
    """One numbered file, such as `0001_sources.sql`; once a database has it, its text never changes."""

    version: int
    name: str
    script: str

    @property
    def checksum(self) -> str:
        """What a database remembers of the text."""
        return hashlib.sha256(self.script.encode()).hexdigest()


def read_migrations(folder: Path = MIGRATIONS_FOLDER) -> list[Migration]:
    """Return the numbered files of a folder in order; raises DatabaseError for a number left out or given twice."""
    files = sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    migrations = [Migration(int(file.name[:4]), file.name, file.read_text(encoding="utf-8")) for file in files]
    for expected, migration in enumerate(migrations, 1):
        if migration.version != expected:
            raise DatabaseError(f"{folder} has {migration.name} where {expected:04} is due; number the files anew.")
    return migrations


async def advance_schema(connection: Connection, migrations: Sequence[Migration]) -> bool:
    """Create the schema in a new database, or run the next file that an older one lacks; True when none is left.

    To be called in a transaction for each file, so that no file's locks are held while the next one works. A database
    with tables but without versions is as it was before there were any: version 0. Raises DatabaseError for one that a
    newer Minutebook made, or whose files were others.
    """
    if await connection.fetchval("SELECT to_regclass('public.schema_versions') IS NULL"):
        is_new = await connection.fetchval("SELECT to_regclass('public.ticks') IS NULL")
        if not is_new and await connection.fetchval("SELECT to_regclass('public.forecast_scores') IS NULL"):
            raise DatabaseError(
                "The database was made before forecasts were kept, which is older than what can be migrated;"
                " migrate an empty one, and collect into that."
            )
        await connection.execute(
            """
            CREATE TABLE public.schema_versions (
                version     integer     PRIMARY KEY,
                name        text        NOT NULL,
                checksum    text        NOT NULL,   -- SHA-256 of the file's text
                applied_at  timestamptz NOT NULL DEFAULT now()
            )
            """
        )
        if is_new:
            await connection.execute(SCHEMA_FILE.read_text(encoding="utf-8"))
            await _insert_versions(connection, migrations)
    applied = await connection.fetch("SELECT version, name, checksum FROM public.schema_versions ORDER BY version")
    _check(applied, migrations)
    left = migrations[len(applied) :]
    if left:
        log.info("schema_migration_started", file=left[0].name)
        await _run(connection, left[0])
        await _insert_versions(connection, left[:1])
    return len(left) <= 1


async def _run(connection: Connection, migration: Migration) -> None:
    try:
        await connection.execute(migration.script)
    except (asyncpg.PostgresError, DatabaseOutdatedError, DataRefusedError) as error:
        cause = error.__cause__ or error
        raise DatabaseError(f"{migration.name} cannot be run on this database ({reason_of(cause)}).") from cause


def _check(applied: Sequence[Record], migrations: Sequence[Migration]) -> None:
    newest = migrations[-1].version if migrations else 0
    if applied and applied[-1]["version"] > newest:
        raise DatabaseError(
            f"The database has version {applied[-1]['version']} of the schema and this Minutebook knows {newest};"
            " run a newer Minutebook."
        )
    for row, migration in zip(applied, migrations, strict=False):
        if (row["version"], row["checksum"]) != (migration.version, migration.checksum):
            raise DatabaseError(
                f"The database was migrated with another {row['name']} than shared/database/migrations has;"
                " restore that file, and put changes into a new one."
            )


async def _insert_versions(connection: Connection, migrations: Sequence[Migration]) -> None:
    for migration in migrations:
        await connection.execute(
            "INSERT INTO public.schema_versions (version, name, checksum) VALUES ($1, $2, $3)",
            migration.version,
            migration.name,
            migration.checksum,
        )
