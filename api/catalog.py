"""What is collected, and each exchange's now: read together, and kept for a moment so that no request pays for it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.problems import ProblemError, make_invalid_parameter_problem
from shared.database.connection import Connection
from shared.database.database import Database
from shared.instant import MINUTE, floor_minute
from shared.symbols import BINANCE, normalise_symbol, source_of

_KEPT_SECONDS = 2.0


@dataclass(frozen=True)
class Catalog:
    """`begins` has where each symbol's record begins, in the order of collection; `newest` its newest tick, if any.

    `collected` are those that are collected now; `ends` has where the record ends of those that were given up.
    `clocks` has what the exchanges' clocks showed at `read_at_monotonic`, by source; Binance's is always there.
    """

    begins: Mapping[str, datetime]
    newest: Mapping[str, datetime | None]
    collected: frozenset[str]
    ends: Mapping[str, datetime]
    clocks: Mapping[str, datetime]
    read_at_monotonic: float

    def now(self, symbol: str) -> datetime:
        """The clock of the exchange that the symbol is from, extrapolated."""
        clock = self.clocks.get(source_of(symbol)) or self.clocks[BINANCE]
        return clock + timedelta(seconds=time.monotonic() - self.read_at_monotonic)

    def closed_until(self, symbol: str) -> datetime:
        """The close of the newest closed minute: what lies before it is past."""
        return floor_minute(self.now(symbol))

    def record_until(self, symbol: str, closed_until: datetime) -> datetime:
        """The end of what should be there: that of the newest closed minute, or where collecting was given up.

        It takes what `closed_until` told, so that one request sees one minute though the clock goes on.
        """
        return min(closed_until, self.ends.get(symbol, closed_until))

    @property
    def default_symbol(self) -> str | None:
        """The first collected, which is meant where none is asked for; None where nothing is collected yet."""
        return next(iter(self.begins), None)

    def resolve(self, symbol: str | None) -> str:
        """Return the symbol asked for, or the default one; raises ProblemError when it isn't collected."""
        if symbol is None:
            if self.default_symbol is not None:
                return self.default_symbol
            raise ProblemError(404, "no-data", "Nothing is collected yet; start the collector.")
        try:
            name = normalise_symbol(symbol)
        except ValueError as error:
            raise make_invalid_parameter_problem("symbol", str(error)) from error
        if name not in self.begins:
            collected = f"collected are: {', '.join(self.begins)}" if self.begins else "nothing is collected yet"
            raise ProblemError(404, "unknown-symbol", f"'{symbol}' is not collected; {collected}.")
        return name


class CatalogKeeper:
    """Keeps the newest catalog of one process."""

    def __init__(self) -> None:
        self._kept: Catalog | None = None

    async def catalog(self, connection: Connection) -> Catalog:
        """Return the catalog, read again when it is older than a moment, or as long as no symbol has a record."""
        kept = self._find_kept()
        if kept is None:
            kept = await select_catalog(connection)
            self._kept = kept
        return kept

    async def read(self, database: Database) -> Catalog:
        """Return the same for a caller without a connection, which is taken only where the catalog is read again."""
        kept = self._find_kept()
        return await database.read(self.catalog) if kept is None else kept

    def _find_kept(self) -> Catalog | None:
        kept = self._kept
        if kept is None or not kept.begins or time.monotonic() - kept.read_at_monotonic > _KEPT_SECONDS:
            return None
        return kept


async def select_catalog(connection: Connection) -> Catalog:
    """Read what is collected and what is merely stored, such as a bulk load, and the exchanges' clocks.

    One statement reads it all; each of its rows has Binance's clock, and there is one without a symbol where none is
    known. A stored minute is a closed one, so a clock is never behind the newest of its exchange.
    """
    rows = await connection.fetch(
        """
        WITH RECURSIVE stored AS (
            -- A loose index scan: one probe a symbol, however many days each has.
            (SELECT symbol FROM daily_rollups ORDER BY symbol LIMIT 1)
            UNION ALL
            SELECT (SELECT symbol FROM daily_rollups WHERE symbol > stored.symbol ORDER BY symbol LIMIT 1)
            FROM stored
            WHERE stored.symbol IS NOT NULL
        )
        SELECT symbol,
               since IS NOT NULL AND until IS NULL AS is_collected,
               until,
               least(since, (SELECT min(minute) FROM ticks WHERE ticks.symbol = known.symbol)) AS begins,
               (SELECT max(minute) FROM ticks WHERE ticks.symbol = known.symbol) AS newest,
               exchange_now(symbol) AS exchange_time,
               binance_time
        FROM (SELECT exchange_now() AS binance_time) AS clock
        LEFT JOIN (
            SELECT symbol FROM stored WHERE symbol IS NOT NULL UNION SELECT symbol FROM collected_symbols
        ) AS known ON true
        LEFT JOIN collected_symbols USING (symbol)
        ORDER BY position NULLS LAST, symbol
        """
    )
    read_at = time.monotonic()
    clocks = {BINANCE: rows[0]["binance_time"]}
    rows = [row for row in rows if row["symbol"] is not None]
    for row in rows:
        source = source_of(row["symbol"])
        shown = row["exchange_time"] if row["newest"] is None else max(row["exchange_time"], row["newest"] + MINUTE)
        clocks[source] = max(shown, clocks.get(source, shown))
    return Catalog(
        begins={row["symbol"]: floor_minute(row["begins"]) for row in rows if row["begins"]},
        newest={row["symbol"]: row["newest"] for row in rows},
        collected=frozenset(row["symbol"] for row in rows if row["is_collected"]),
        ends={row["symbol"]: floor_minute(row["until"]) for row in rows if row["until"]},
        clocks=clocks,
        read_at_monotonic=read_at,
    )
