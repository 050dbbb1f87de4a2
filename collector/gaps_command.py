"""`collector gaps`: says what is missing of the record, and why."""

from collections.abc import AsyncIterator
from datetime import datetime

from collector.dates import read_minute
from collector.settings import CollectorSettings
from shared.database.connection import Connection
from shared.database.database import connect
from shared.errors import UsageError
from shared.gaps import select_gaps, select_record_range
from shared.instant import floor_minute, to_text
from shared.runs import Run


async def describe_gaps(settings: CollectorSettings, since: str | None, until: str | None) -> AsyncIterator[str]:
    """Yield a line for every symbol and for each gap of [since, until), by default of the whole record."""
    async with connect(settings.database_url.get_secret_value(), "minutebook-gaps") as connection:
        for symbol in settings.symbols:
            asked = await _select_range(connection, symbol, since, until)
            if asked is None:
                yield f"{symbol}: nothing is collected yet"
                continue
            gaps = await select_gaps(connection, symbol, *asked)
            missing = sum(gap.minutes for gap in gaps)
            share = f"{100 * (1 - missing / asked.minutes):.4f} % complete"
            yield f"{symbol}: {to_text(asked.start)} to {to_text(asked.end)}, {missing} minutes missing, {share}"
            for gap in gaps:
                yield f"  {to_text(gap.start)}  {to_text(gap.end)}  {gap.minutes:>7}  {gap.cause}"


async def _select_range(connection: Connection, symbol: str, since: str | None, until: str | None) -> Run | None:
    now: datetime = await connection.fetchval("SELECT exchange_now($1)", symbol)
    record = await select_record_range(connection, symbol)
    if record is None:
        return None
    start = read_minute(since, now) if since else record.start
    # The record of a symbol that was given up has an end; gaps after it are listed only when `until` asks for them.
    end = min(floor_minute(now), read_minute(until, now)) if until else record.end
    if start >= end:
        raise UsageError(f"{symbol} has no closed minute from {to_text(start)} to {to_text(end)}.")
    return Run(start, end)
