"""How good the forecasts have been: scores over the last 24 hours, 7 and 30 days, by horizon."""

import asyncio
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final

from shared.database.connection import Connection, Record
from shared.instant import DAY
from shared.levels import LEVELS

# By the time of the targets; in the order of the query's parts, each of which lies in all longer windows too.
WINDOWS: Final[Mapping[str, timedelta]] = {"24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}


@dataclass(frozen=True)
class LevelSums:
    """Scores of the intervals of one level summed up, of the `n` forecasts that stated it."""

    n: int = 0
    covered: int = 0
    winkler: float = 0.0

    def __add__(self, other: "LevelSums") -> "LevelSums":
        return LevelSums(self.n + other.n, self.covered + other.covered, self.winkler + other.winkler)

    @property
    def coverage(self) -> float | None:
        """The share of prices that lay in the interval."""
        return self.covered / self.n if self.n else None

    @property
    def mean_winkler(self) -> float | None:
        """The mean interval score."""
        return self.winkler / self.n if self.n else None


@dataclass(frozen=True)
class Sums:
    """Scores of `n` forecasts summed up; QLIKE has a value for `n_qlike` of them, those whose price moved."""

    n: int = 0
    absolute_error: Decimal = Decimal(0)
    naive_absolute_error: Decimal = Decimal(0)
    pinball: float = 0.0
    qlike: float = 0.0
    n_qlike: int = 0
    by_level: Mapping[int, LevelSums] = field(default_factory=dict)

    def __add__(self, other: "Sums") -> "Sums":
        levels = self.by_level.keys() | other.by_level.keys()
        none = LevelSums()
        return Sums(
            self.n + other.n,
            self.absolute_error + other.absolute_error,
            self.naive_absolute_error + other.naive_absolute_error,
            self.pinball + other.pinball,
            self.qlike + other.qlike,
            self.n_qlike + other.n_qlike,
            {level: self.by_level.get(level, none) + other.by_level.get(level, none) for level in levels},
        )

    def score(self) -> dict[str, object]:
        """Return the means; None for those of nothing."""
        by_level = {level: self.by_level.get(level, LevelSums()) for level in LEVELS}
        mae, naive_mae = self._mean(self.absolute_error), self._mean(self.naive_absolute_error)
        return {
            "n": self.n,
            "mae": mae,
            "naive_mae": naive_mae,
            # Of the exact sums, so that a naive point is exactly as good as naive.
            "relative_mae": float(self.absolute_error / self.naive_absolute_error)
            if self.naive_absolute_error
            else None,
            "coverage": {str(level): sums.coverage for level, sums in by_level.items()},
            "winkler": {str(level): sums.mean_winkler for level, sums in by_level.items()},
            "pinball": self._mean(self.pinball),
            "qlike": self.qlike / self.n_qlike if self.n_qlike else None,
        }

    def _mean(self, total: Decimal | float) -> float | None:
        return float(total / self.n) if self.n else None


@dataclass(frozen=True)
class TrackRecord:
    """Sums by horizon and window of the targets up to `until`; `newest`: the newest score's target, and when it was."""

    until: datetime
    newest: tuple[datetime, datetime] | None
    sums: Mapping[tuple[int, str], Sums]

    @property
    def horizons(self) -> list[int]:
        """Those that have a score, in order."""
        return sorted({horizon for horizon, _ in self.sums})

    @property
    def is_complete(self) -> bool:
        """Whether the newest minute's scores are in it."""
        return self.newest is not None and self.newest[0] == self.until

    def scores(self, horizon: int) -> dict[str, dict[str, object]]:
        """Return the score of each window."""
        return {window: self.sums.get((horizon, window), Sums()).score() for window in WINDOWS}


class TrackRecordKeeper:
    """Keeps the newest track record of each symbol: to sum up a month of four horizons takes a quarter of a second.

    One is made anew for each minute, and when there are newer scores.
    """

    def __init__(self) -> None:
        self._kept: dict[str, TrackRecord] = {}
        self._turn = asyncio.Lock()

    async def track_record(self, connection: Connection, symbol: str, until: datetime) -> TrackRecord:
        """Return the scores of the targets up to the minute's end `until`."""
        newest = await _select_newest(connection, symbol)
        kept = self._kept.get(symbol)
        # Who finds another at it needs not wait: what is a minute old will do.
        if kept is not None and (self._turn.locked() or (kept.until, kept.newest) == (until, newest)):
            return kept
        async with self._turn:
            kept = self._kept.get(symbol)
            if kept is None or (kept.until, kept.newest) != (until, newest):
                kept = TrackRecord(until, newest, await select_sums(connection, symbol, until))
                self._kept[symbol] = kept
            return kept


async def _select_newest(connection: Connection, symbol: str) -> tuple[datetime, datetime] | None:
    row = await connection.fetchrow(
        """
        SELECT target_time, coalesce(rescored_at, scored_at) AS scored_at
        FROM forecast_scores
        WHERE symbol = $1
        ORDER BY made_at DESC, horizon_minutes DESC
        LIMIT 1
        """,
        symbol,
    )
    return (row["target_time"], row["scored_at"]) if row else None


async def select_sums(connection: Connection, symbol: str, until: datetime) -> dict[tuple[int, str], Sums]:
    """Read the sums over each window up to `until`, by horizon and window."""
    places = len(LEVELS)
    rows = await _select_parts(connection, places, symbol, until)
    longest = max((len(row["levels"]) for row in rows), default=0)
    if longest > places:
        # Forecasts that were made when there were more levels.
        rows = await _select_parts(connection, longest, symbol, until)
    sums: dict[tuple[int, str], Sums] = {}
    for row in rows:
        part = _read_sums(row)
        for window in list(WINDOWS)[row["part"] :]:
            key = row["horizon_minutes"], window
            sums[key] = sums.get(key, Sums()) + part
    return sums


async def _select_parts(connection: Connection, places: int, symbol: str, until: datetime) -> list[Record]:
    """Read the sums of each part, horizon and choice of levels, of the first `places` levels."""
    return await connection.fetch(_make_statement(places), symbol, until, *WINDOWS.values())


def _read_sums(row: Record) -> Sums:
    return Sums(
        n=row["n"],
        absolute_error=row["absolute_error"],
        naive_absolute_error=row["naive_absolute_error"],
        pinball=row["pinball"],
        qlike=row["qlike"],
        n_qlike=row["n_qlike"],
        by_level={
            level: LevelSums(row["n"], row["covered"][place], row["winkler"][place])
            for place, level in enumerate(row["levels"])
        },
    )


# $1 symbol, $2 the windows' end, $3 to $5 their lengths. A part is a range of its own rather than a column to group by,
# and a level is read by its place rather than looked for: either would take longer than the sums do. A forecast looks a
# day ahead at most, so that the key's index bounds the rows.
_PART = """
    SELECT {part} AS part,
           horizon_minutes,
           levels,
           count(*) AS n,
           sum(absolute_error) AS absolute_error,
           sum(naive_absolute_error) AS naive_absolute_error,
           ARRAY[{covered}] AS covered,
           ARRAY[{winkler}] AS winkler,
           sum(pinball) AS pinball,
           coalesce(sum(qlike), 0) AS qlike,
           count(qlike) AS n_qlike
    FROM forecast_scores
    WHERE symbol = $1
      AND made_at > {start} - interval '1 day'
      AND made_at < {end}
      AND target_time > {start}
      AND target_time <= {end}
    GROUP BY horizon_minutes, levels
"""


@functools.cache
def _make_statement(places: int) -> str:
    """Put the statement together from these literals; values come as parameters only."""
    ends = ["$2::timestamptz", *(f"($2::timestamptz - ${number}::interval)" for number in range(3, 3 + len(WINDOWS)))]
    return " UNION ALL ".join(
        _PART.format(
            part=part,
            covered=", ".join(f"count(*) FILTER (WHERE covered[{place}])" for place in range(1, places + 1)),
            winkler=", ".join(f"sum(winkler[{place}])" for place in range(1, places + 1)),
            start=start,
            end=end,
        )
        for part, (end, start) in enumerate(pairwise(ends))
    )
