"""Writes klines: the ticks and the rollups they touch change in one transaction, which proves that we still lead."""

from collections.abc import Sequence
from typing import NamedTuple

from collector.copy_text import COPY_COLUMNS, CopyText
from collector.klines import Kline, Refusal, show_row
from shared.database.connection import Connection
from shared.errors import DataRefusedError, LeadershipLostError
from shared.instant import MINUTE
from shared.runs import Run


class WriteTarget(NamedTuple):
    """What a leader writes rows of: a symbol, the label that its source gives them, and the epoch that it leads in."""

    symbol: str
    source: str
    epoch: int


class Stored(NamedTuple):
    """How many minutes a write added and how many it changed, and the rows that Postgres itself refused."""

    inserted: int
    corrected: int
    refused: list[Refusal]


async def upsert_klines(connection: Connection, target: WriteTarget, klines: Sequence[Kline]) -> Stored:
    """Write klines that may be there already; one with other values is corrected and keeps its created_at.

    To be called in a transaction, which afterwards holds the write lock. A row that Postgres refuses is left out
    with its reason and the rest is kept. Raises LeadershipLostError when another collector leads.
    """
    if not klines:
        return Stored(0, 0, [])
    stored = await _upsert_parts(connection, target, klines)
    await _refresh_rollups(connection, target, Run(klines[0].minute, klines[-1].minute + MINUTE))
    return stored


async def _upsert_parts(connection: Connection, target: WriteTarget, klines: Sequence[Kline]) -> Stored:
    """Write klines; where Postgres refuses some of them, in smaller and smaller parts until only those are left out."""
    try:
        async with connection.transaction():
            return await _upsert_all(connection, target, klines)
    except DataRefusedError as error:
        if len(klines) == 1:
            return Stored(0, 0, [Refusal(str(error), show_row(tuple(klines[0])), klines[0].minute)])
    half = len(klines) // 2
    first = await _upsert_parts(connection, target, klines[:half])
    second = await _upsert_parts(connection, target, klines[half:])
    return Stored(first.inserted + second.inserted, first.corrected + second.corrected, first.refused + second.refused)


async def _upsert_all(connection: Connection, target: WriteTarget, klines: Sequence[Kline]) -> Stored:
    columns = list(zip(*klines, strict=True))
    changed = await connection.fetch(
        """
        INSERT INTO ticks AS tick (
            symbol, minute, open, high, low, close, volume, quote_volume, trades,
            taker_base_volume, taker_quote_volume, source
        )
        SELECT $1, minute, open::numeric, high::numeric, low::numeric, close::numeric,
               volume::numeric, quote_volume::numeric, trades, taker_base_volume::numeric,
               taker_quote_volume::numeric, $2
        FROM unnest(
            $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bigint[],
            $11::text[], $12::text[]
        ) AS kline (
            minute, open, high, low, close, volume, quote_volume, trades, taker_base_volume, taker_quote_volume
        )
        ON CONFLICT (symbol, minute) DO UPDATE
        SET open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
            volume = excluded.volume, quote_volume = excluded.quote_volume, trades = excluded.trades,
            taker_base_volume = excluded.taker_base_volume, taker_quote_volume = excluded.taker_quote_volume,
            source = excluded.source, corrected_at = now()
        WHERE (tick.open, tick.high, tick.low, tick.close, tick.volume, tick.quote_volume, tick.trades,
               tick.taker_base_volume, tick.taker_quote_volume)
           IS DISTINCT FROM
              (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume, excluded.quote_volume,
               excluded.trades, excluded.taker_base_volume, excluded.taker_quote_volume)
        RETURNING old.minute IS NULL AS inserted
        """,
        target.symbol,
        target.source,
        *columns,
    )
    inserted = sum(row["inserted"] for row in changed)
    return Stored(inserted, len(changed) - inserted, [])


async def copy_missing_minutes(connection: Connection, target: WriteTarget, text: CopyText) -> None:
    """Copy minutes that are known to be missing.

    To be called in a transaction. Raises DataRefusedError when Postgres refuses a row or has it already; then nothing
    is written, and `upsert_klines` can sort it out.
    """
    await connection.copy_csv("ticks", COPY_COLUMNS, text.pieces)
    await _refresh_rollups(connection, target, text.span)


async def take_write_lock(connection: Connection, epoch: int) -> None:
    """Prove that we still lead, and let no other write of ticks, rollups or ledger in until the transaction ends.

    Two transactions that recomputed one hour side by side would each miss the other's ticks; the lock on the
    leadership row makes them follow one another. Raises LeadershipLostError when our epoch has passed.
    """
    held = await connection.fetchval(
        "SELECT true FROM leadership WHERE service = 'collector' AND epoch = $1 FOR NO KEY UPDATE", epoch
    )
    if not held:
        raise LeadershipLostError("Another collector has taken over.")


async def _refresh_rollups(connection: Connection, target: WriteTarget, span: Run) -> None:
    """Take the write lock, then recompute what the range touches."""
    await take_write_lock(connection, target.epoch)
    # Listeners are notified when the transaction commits.
    await connection.execute("SELECT refresh_rollups($1, $2, $3), pg_notify('ticks', $1)", target.symbol, *span)
