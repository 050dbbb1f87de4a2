"""Brings a database to the current schema, roles and rights; safe to run again, and by several at once."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import asyncpg

from shared.backoff import Backoff
from shared.database.connection import Connection
from shared.database.database import connect
from shared.database.failures import reason_of
from shared.database.password import scram_verifier
from shared.database.versions import Migration, advance_schema, read_migrations
from shared.errors import DatabaseError, DatabaseUnavailableError
from shared.logging import get_logger

log = get_logger(__name__)

ROLES = ("collector", "predictor", "api")

_RIGHTS_FILE = Path(__file__).resolve().with_name("rights.sql")
# Any number that nothing else locks; the lock is held for the transaction.
_LOCK = 5_217_601_934
_ATTEMPTS = 5
# Roles belong to the whole server, and the lock to one database: a migration of another database on the same server can
# touch the same role in the same instant. And services hold locks on tables while they read and write them.
_COLLISIONS = (
    asyncpg.UniqueViolationError,
    asyncpg.DuplicateObjectError,
    asyncpg.InternalServerError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
)


async def migrate(owner_url: str, passwords: Mapping[str, str]) -> None:
    """Create or complete the roles and the schema, and set the passwords given by role.

    A role without a password here keeps the one it has. Raises DatabaseError when the server cannot be used, or has a
    schema that does not come from this version's files.
    """
    migrations = read_migrations()
    backoff = Backoff(0.3, 2.0)
    async with connect(owner_url, "minutebook-migrate") as connection:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                while not await _migrate_once(connection, migrations, passwords):
                    pass
                break
            except (DatabaseError, asyncpg.PostgresError) as error:
                cause = error.__cause__ or error
                if isinstance(cause, asyncpg.InsufficientPrivilegeError):
                    raise DatabaseError(
                        f"Only the database's owner can migrate it ({reason_of(cause)}); correct MIGRATE_DATABASE_URL."
                    ) from cause
                if isinstance(cause, asyncpg.DependentObjectsStillExistError):
                    raise DatabaseError(
                        "Something that is not Minutebook's own needs what is replaced"
                        f" ({cause.detail or reason_of(cause)}); drop it, migrate, and make it anew."
                    ) from cause
                if not isinstance(cause, _COLLISIONS):
                    raise
                if attempt == _ATTEMPTS:
                    raise DatabaseUnavailableError(
                        f"Other sessions keep the migration from what it changes ({reason_of(cause)}); try again, and"
                        " see pg_stat_activity for who they are."
                    ) from cause
                await asyncio.sleep(backoff.next())
    log.info("database_migrated", version=len(migrations), roles=ROLES)


async def _migrate_once(connection: Connection, migrations: Sequence[Migration], passwords: Mapping[str, str]) -> bool:
    """Run at most one numbered file, in one transaction; True when the database is what this version needs."""
    async with connection.transaction():
        # Both waits are bounded: for another migration, so that one that hangs is reported, and for the
        # tables' locks, since everyone who reads or writes a table stands in line behind whoever waits for all of it.
        await connection.execute("SET LOCAL lock_timeout = '60s'")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute("SET LOCAL lock_timeout = '3s'")
        await connection.execute("SET LOCAL client_min_messages = warning")
        for role in ROLES:
            await _ensure_role(connection, role, passwords.get(role))
        is_newest = await advance_schema(connection, migrations)
        if is_newest:
            await connection.execute(_RIGHTS_FILE.read_text(encoding="utf-8"))
            await _ensure_database_rights(connection)
    return is_newest


async def _ensure_role(connection: Connection, role: str, password: str | None) -> None:
    exists = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role)
    if not exists:
        await _execute_formatted(connection, "CREATE ROLE %I LOGIN", role)
    if password:
        # The verifier, so that neither the server's log nor its list of statements ever shows the password.
        await _execute_formatted(connection, "ALTER ROLE %I LOGIN PASSWORD %L", role, scram_verifier(password))
    if role == "api":
        await _execute_formatted(connection, "ALTER ROLE %I SET default_transaction_read_only = on", role)


async def _ensure_database_rights(connection: Connection) -> None:
    database = await connection.fetchval("SELECT current_database()")
    await _execute_formatted(connection, "REVOKE ALL ON DATABASE %I FROM PUBLIC", database)
    for role in ROLES:
        await _execute_formatted(connection, "GRANT CONNECT ON DATABASE %I TO %I", database, role)


async def _execute_formatted(connection: Connection, template: str, *names: str) -> None:
    """Run a statement that takes no parameters; Postgres itself quotes the names into it."""
    statement = await connection.fetchval("SELECT format($1, VARIADIC $2::text[])", template, list(names))
    await connection.execute(statement)
