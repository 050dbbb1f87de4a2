"""`collector verify`: compares the stored minutes with the exchange's, and says each difference."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from tqdm import tqdm

from collector.backfill import LIVE_MINUTES
from collector.dates import read_minute
from collector.klines import Kline
from collector.pauses import load_pauses, share_pauses
from collector.reading import read_closed_klines
from collector.settings import CollectorSettings
from collector.sources.registry import open_sources
from collector.sources.source import Source, cut_pages
from shared.database.connection import Connection
from shared.database.database import Bounds, Database, open_database
from shared.errors import UsageError
from shared.gaps import select_record_range
from shared.instant import floor_minute, to_text
from shared.lifecycle import Stopping, stop_on_signals
from shared.runs import Run
from shared.settings import Settings
from shared.symbols import source_of

SHOWN_DIFFERENCES = 50
# One to compare with, one to share pauses over.
BOUNDS = Bounds(pool_size=2)
_FIELDS = Kline._fields[1:]

Values = tuple[Decimal | None, ...]


@dataclass
class Comparison:
    """What was found for one symbol."""

    symbol: str
    compared: Run
    equal: int = 0
    different: int = 0
    refused: int = 0  # rows of the exchange that are no kline
    differences: list[str] = field(default_factory=list)  # the oldest, at most SHOWN_DIFFERENCES


async def verify(
    settings: CollectorSettings, source_settings: Mapping[str, Settings], since: str | None, until: str | None
) -> list[Comparison]:
    """Compare [since, until), by default the whole record, for every symbol; writes nothing.

    Raises UsageError for a range that makes no sense, DatabaseError and ExchangeError when one does not answer.
    """
    stop = stop_on_signals()
    found = []
    async with (
        open_sources(source_settings, stop) as sources,
        open_database(settings.database_url.get_secret_value(), "minutebook-verify", BOUNDS) as database,
    ):
        await database.read(lambda connection: load_pauses(connection, sources))
        done = asyncio.Event()
        # A collector may run beside us from the same address: a pause that is asked of one holds for both.
        sharing = asyncio.create_task(share_pauses(database, sources, done), name="share-pauses")
        try:
            for symbol in settings.symbols:
                source = sources[source_of(symbol)]
                if not source.clock.is_known:
                    await source.measure_time()
                compared = await _choose_range(database, source, symbol, since, until)
                found.append(await _compare(database, source, Comparison(symbol, compared), stop))
        except Stopping as stopping:
            raise UsageError("Interrupted before the whole range was compared.") from stopping
        finally:
            done.set()
            await sharing
    return found


async def _choose_range(database: Database, source: Source, symbol: str, since: str | None, until: str | None) -> Run:
    now = source.clock.now()
    record = await database.read(lambda connection: select_record_range(connection, symbol))
    if record is None and since is None:
        raise UsageError(f"Nothing of {symbol} is collected yet; run `python -m collector run`, or give --since.")
    start = read_minute(since, now) if since else record.start if record else now
    end = read_minute(until, now) if until else floor_minute(now) - LIVE_MINUTES
    end = min(end, source.clock.open_minute())
    if start >= end:
        raise UsageError(
            f"There is no closed minute from {to_text(start)} to {to_text(end)}; correct --since, --until."
        )
    return Run(start, end)


async def _compare(database: Database, source: Source, comparison: Comparison, stop: asyncio.Event) -> Comparison:
    wanted, symbol = comparison.compared, comparison.symbol
    with tqdm(total=wanted.minutes, desc=symbol, unit="min", unit_scale=True) as bar:
        for page in reversed(list(cut_pages(wanted, source.page_minutes))):
            if stop.is_set():
                raise Stopping
            answer = await read_closed_klines(source, symbol, page)
            refused = [refusal for refusal in answer.refused if not refusal.is_spare]
            comparison.refused += len(refused)
            given = {kline.minute: _to_values(kline[1:]) for kline in answer.klines}
            stored = await _select_values(database, symbol, page)
            refused_reasons = {refusal.minute: refusal.reason for refusal in refused if refusal.minute is not None}
            differences = list(compare_minutes(stored, given, refused_reasons))
            comparison.differences += differences[: SHOWN_DIFFERENCES - len(comparison.differences)]
            comparison.different += len(differences)
            comparison.equal += len(stored.keys() | given.keys() | refused_reasons.keys()) - len(differences)
            bar.update(page.minutes)
    return comparison


async def _select_values(database: Database, symbol: str, page: Run) -> dict[datetime, Values]:
    async def select(connection: Connection) -> dict[datetime, Values]:
        rows = await connection.fetch(
            """
            SELECT minute, open, high, low, close, volume, quote_volume, trades, taker_base_volume, taker_quote_volume
            FROM ticks
            WHERE symbol = $1
              AND minute >= $2
              AND minute < $3
            """,
            symbol,
            *page,
        )
        return {row["minute"]: _to_values(tuple(row)[1:]) for row in rows}

    return await database.read(select)


def _to_values(fields: tuple[Decimal | str | int | None, ...]) -> Values:
    return tuple(None if value is None else Decimal(value) for value in fields)


def compare_minutes(
    stored: Mapping[datetime, Values], given: Mapping[datetime, Values], refused_reasons: Mapping[datetime, str]
) -> Iterator[str]:
    """Yield a sentence for each minute that only one side has, or whose values differ; it begins with the minute.

    `refused_reasons` says, by minute, why the exchange's row for it was refused.
    """
    for minute in sorted(stored.keys() | given.keys() | refused_reasons.keys()):
        beginning = f"{to_text(minute)} {'is stored' if minute in stored else 'is not stored'}"
        if minute not in given and minute in refused_reasons:
            yield f"{beginning}, and the exchange's row for it makes no sense: {refused_reasons[minute]}"
        elif minute not in stored:
            yield f"{beginning}, but the exchange has it"
        elif minute not in given:
            yield f"{beginning}, but the exchange does not have it"
        elif stored[minute] != given[minute]:
            values = zip(_FIELDS, stored[minute], given[minute], strict=True)
            yield f"{to_text(minute)} differs: " + ", ".join(
                f"{name} {_show(mine)} stored, {_show(other)} at the exchange"
                for name, mine, other in values
                if mine != other
            )


def _show(value: Decimal | None) -> str:
    return "none" if value is None else str(value)
