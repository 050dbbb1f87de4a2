"""Brings a database to the current schema and roles; safe to run again, and by several at once."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from shared.database.driver import Connection, connect, translated
from shared.database.password import scram_verifier
from shared.errors import DatabaseError
from shared.logging import get_logger

log = get_logger(__name__)

ROLES = ("collector", "predictor", "api")
SCHEMA_FILE = Path(__file__).resolve().parents[2] / "init.sql"

# Any number that nothing else locks; the lock is held for the transaction.
_LOCK = 5_217_601_934
_ATTEMPTS = 5


async def migrate(owner_url: str, passwords: Mapping[str, str]) -> None:
    """Create or complete the roles and the schema, and set the passwords given by role.

    A role without a password here keeps the one it has. Raises DatabaseError when the server cannot be used.
    """
    schema = SCHEMA_FILE.read_text(encoding="utf-8")
    async with connect(owner_url, "minutebook-migrate") as connection:
        with translated(), _owner_wanted():
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    await _migrate_once(connection, schema, passwords)
                    break
                except (asyncpg.UniqueViolationError, asyncpg.DuplicateObjectError, asyncpg.InternalServerError):
                    # Roles belong to the whole server, and the lock to one database: a migration of another
                    # database on the same server can touch the same role in the same instant.
                    if attempt == _ATTEMPTS:
                        raise
                    await asyncio.sleep(0.1 * attempt)
    log.info("database_migrated", roles=ROLES)


@contextmanager
def _owner_wanted() -> Iterator[None]:
    try:
        yield
    except asyncpg.InsufficientPrivilegeError as error:
        raise DatabaseError(
            f"Only the database's owner can migrate it ({str(error).splitlines()[0]}); correct MIGRATE_DATABASE_URL."
        ) from error


async def _migrate_once(connection: Connection, schema: str, passwords: Mapping[str, str]) -> None:
    async with connection.transaction():
        # The lock's wait is bounded, so that a migration that hangs elsewhere is said and not shared.
        await connection.execute("SET LOCAL lock_timeout = '60s'")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        for role in ROLES:
            await _ensure_role(connection, role, passwords.get(role))
        await connection.execute("SET LOCAL client_min_messages = warning")
        await connection.execute(schema)
        await _ensure_database_rights(connection)


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
