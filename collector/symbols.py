"""Which symbols are collected, in which order, and from when to when the record of each is meant to be whole."""

from collections.abc import Sequence
from datetime import datetime

from shared.database.connection import Connection

# The position of a symbol that no collector runs for: behind all others, so that the API never answers with it unasked.
NO_POSITION = 1_000_000


async def upsert_collected_symbol(connection: Connection, symbol: str, position: int, since: datetime) -> datetime:
    """Write down that a symbol is collected from now on; a record never shrinks. Returns its beginning."""
    beginning: datetime = await connection.fetchval(
        """
        INSERT INTO collected_symbols (symbol, position, since)
        VALUES ($1, $2, $3)
        ON CONFLICT (symbol) DO UPDATE
        SET position = excluded.position, since = least(collected_symbols.since, excluded.since), until = NULL
        RETURNING since
        """,
        symbol,
        position,
        since,
    )
    return beginning


async def update_given_up_symbols(connection: Connection, collected: Sequence[str]) -> None:
    """End the record of what is no longer collected with the last minute that was; since then none is missing."""
    await connection.execute(
        """
        UPDATE collected_symbols AS given_up
        SET position = $1,
            until = coalesce(
                (SELECT max(minute) + interval '1 minute' FROM ticks WHERE ticks.symbol = given_up.symbol),
                given_up.since
            )
        WHERE symbol <> ALL ($2::text[])
          AND until IS NULL
        """,
        NO_POSITION,
        collected,
    )


async def upsert_backfilled_symbol(connection: Connection, symbol: str, since: datetime, until: datetime) -> None:
    """Let a record reach from `since`; one that no collector runs for also to `until`, and no further by itself."""
    await connection.execute(
        """
        INSERT INTO collected_symbols (symbol, position, since, until)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (symbol) DO UPDATE
        SET since = least(collected_symbols.since, excluded.since),
            until = CASE
                WHEN collected_symbols.until IS NOT NULL THEN greatest(collected_symbols.until, excluded.until)
            END
        """,
        symbol,
        NO_POSITION,
        since,
        until,
    )


async def update_since(connection: Connection, symbol: str, since: datetime) -> bool:
    """Let the record of a symbol that is collected begin earlier; False, and nothing done, for any other."""
    updated: bool | None = await connection.fetchval(
        """
        UPDATE collected_symbols
        SET since = least(since, $2)
        WHERE symbol = $1
          AND until IS NULL
        RETURNING true
        """,
        symbol,
        since,
    )
    return bool(updated)


async def select_since(connection: Connection, symbol: str) -> datetime:
    """Return where the record of a symbol that is collected begins."""
    since: datetime = await connection.fetchval("SELECT since FROM collected_symbols WHERE symbol = $1", symbol)
    return since
