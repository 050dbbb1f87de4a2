"""`collector verify`: compares the stored minutes with the exchange's, and says each difference."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from tqdm import tqdm

from collector.backfill import LIVE_MINUTES, pages
from collector.exchange import Exchange, open_exchange
from collector.klines import Kline
from collector.pauses import load_pause, share_pauses
from collector.settings import CollectorSettings
from shared.database.driver import Connection, connect, translated
from shared.errors import UsageError
from shared.gaps import select_record_range
from shared.instant import floor_minute, from_milliseconds, parse_instant, to_milliseconds, to_text
from shared.lifecycle import Stopping, stop_on_signals
from shared.runs import Run

SHOWN_DIFFERENCES = 50
_FIELDS = Kline._fields[1:]

Values = tuple[Decimal, ...]


@dataclass
class Comparison:
    """What was found for one symbol."""

    symbol: str
    compared: Run
    equal: int = 0
    different: int = 0
    refused: int = 0  # rows of the exchange that are no kline
    differences: list[str] = field(default_factory=list)  # the oldest, at most SHOWN_DIFFERENCES


async def verify(settings: CollectorSettings, since: str | None, until: str | None) -> list[Comparison]:
    """Compare [since, until), by default the whole record, for every symbol; writes nothing.

    Raises UsageError for a range that makes no sense, DatabaseError and ExchangeError when one does not answer.
    """
    stop = stop_on_signals()
    found = []
    async with (
        open_exchange(settings, stop) as exchange,
        connect(settings.database_url.get_secret_value(), "minutebook-verify") as connection,
        connect(settings.database_url.get_secret_value(), "minutebook-verify-pauses") as pauses,
    ):
        done = asyncio.Event()
        with translated():
            await load_pause(connection, exchange)
            # A collector may run beside us from the same address, and both obey what either is told.
            sharing = asyncio.create_task(share_pauses(pauses, exchange, done), name="share-pauses")
            try:
                await exchange.binance.measure_time()
                for symbol in settings.symbols:
                    wanted = await _range(connection, exchange, symbol, since, until)
                    found.append(await _compare(connection, exchange, Comparison(symbol, wanted), stop))
            except Stopping as stopping:
                raise UsageError("Interrupted before the whole range was compared.") from stopping
            finally:
                done.set()
                await sharing
    return found


async def _range(connection: Connection, exchange: Exchange, symbol: str, since: str | None, until: str | None) -> Run:
    now = exchange.clock.now()
    record = await select_record_range(connection, symbol)
    if record is None and since is None:
        raise UsageError(f"Nothing of {symbol} is collected yet; run `python -m collector run`, or give --since.")
    try:
        start = floor_minute(parse_instant(since, now)) if since else record.start if record else now
        end = floor_minute(parse_instant(until, now)) if until else floor_minute(now) - LIVE_MINUTES
    except ValueError as error:
        raise UsageError(f"{error}.") from error
    end = min(end, from_milliseconds(exchange.clock.open_minute_ms()))
    if start >= end:
        raise UsageError(
            f"There is no closed minute from {to_text(start)} to {to_text(end)}; correct --since, --until."
        )
    return Run(start, end)


async def _compare(
    connection: Connection, exchange: Exchange, comparison: Comparison, stop: asyncio.Event
) -> Comparison:
    wanted = comparison.compared
    with tqdm(total=wanted.minutes, desc=comparison.symbol, unit="min", unit_scale=True) as bar:
        for page in reversed(list(pages(wanted))):
            if stop.is_set():
                raise Stopping
            bounds = to_milliseconds(page.start), to_milliseconds(page.end)
            answer = await exchange.binance.klines(comparison.symbol, *bounds)
            refused = [refusal for refusal in answer.refused if not refusal.is_spare]
            comparison.refused += len(refused)
            theirs = {kline.minute_ms: tuple(Decimal(value) for value in kline[1:]) for kline in answer.klines}
            ours = await _select_values(connection, comparison.symbol, page)
            nonsense = {one.minute_ms: one.reason for one in refused if one.minute_ms is not None}
            differences = list(compare_minutes(ours, theirs, nonsense))
            comparison.differences += differences[: SHOWN_DIFFERENCES - len(comparison.differences)]
            comparison.different += len(differences)
            comparison.equal += len(ours.keys() | theirs.keys() | nonsense.keys()) - len(differences)
            bar.update(page.minutes)
    return comparison


async def _select_values(connection: Connection, symbol: str, page: Run) -> dict[int, Values]:
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
    return {to_milliseconds(row["minute"]): tuple(Decimal(value) for value in tuple(row)[1:]) for row in rows}


def compare_minutes(
    ours: Mapping[int, Values], theirs: Mapping[int, Values], nonsense: Mapping[int, str]
) -> Iterator[str]:
    """Yield a sentence for each minute that only one side has, or whose values differ; it begins with the minute.

    `nonsense` says by minute why the exchange's row for it is none.
    """
    for minute_ms in sorted(ours.keys() | theirs.keys() | nonsense.keys()):
        minute = to_text(from_milliseconds(minute_ms))
        stored = "is stored" if minute_ms in ours else "is not stored"
        if minute_ms not in theirs and minute_ms in nonsense:
            yield f"{minute} {stored}, and the exchange's row for it makes no sense: {nonsense[minute_ms]}"
        elif minute_ms not in ours:
            yield f"{minute} {stored}, but the exchange has it"
        elif minute_ms not in theirs:
            yield f"{minute} {stored}, but the exchange does not have it"
        elif ours[minute_ms] != theirs[minute_ms]:
            values = zip(_FIELDS, ours[minute_ms], theirs[minute_ms], strict=True)
            yield f"{minute} differs: " + ", ".join(
                f"{name} {mine} stored, {other} at the exchange" for name, mine, other in values if mine != other
            )
