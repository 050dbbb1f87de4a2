"""The gaps of the record: runs of minutes that are not there, each with its cause.

Nothing stores a gap. Missing minutes are read off the rollups, which always agree with the ticks, and the ledger
`absences` says which of them the exchange does not have. So a gap cannot outlive the arrival of its minutes.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal, NamedTuple

from shared.database.connection import Connection
from shared.instant import DAY, MINUTE, floor_minute
from shared.runs import Run, Runs

Cause = Literal["source_absent", "not_collected"]

_HOUR = 60 * MINUTE


class Gap(NamedTuple):
    """A run of missing minutes [start, end) with one cause."""

    start: datetime
    end: datetime
    cause: Cause

    @property
    def minutes(self) -> int:
        """How many minutes are missing."""
        return (self.end - self.start) // MINUTE


async def select_record_range(connection: Connection, symbol: str) -> Run | None:
    """Return the range that should be whole: from where collection begins to the newest closed minute's end.

    Where ticks are older than that beginning, from the oldest tick; where collecting was given up, to there. None for
    a symbol that was never collected.
    """
    row = await connection.fetchrow(
        """
        SELECT least(
                   (SELECT since FROM collected_symbols WHERE symbol = $1),
                   (SELECT min(minute) FROM ticks WHERE symbol = $1)
               ) AS start,
               least(exchange_now($1), (SELECT until FROM collected_symbols WHERE symbol = $1)) AS now
        """,
        symbol,
    )
    if row is None or row["start"] is None:
        return None
    start = floor_minute(row["start"])
    return Run(start, max(start, floor_minute(row["now"])))


async def select_missing(connection: Connection, symbol: str, start: datetime, end: datetime) -> Runs:
    """Return the minutes in [start, end) that have no tick; both ends are whole minutes."""
    days = await connection.fetch(
        """
        SELECT day, count
        FROM daily_rollups
        WHERE symbol = $1
          AND day >= date_bin('1 day', $2::timestamptz, '2000-01-01Z')
          AND day < $3
        ORDER BY day
        """,
        symbol,
        start,
        end,
    )
    partial = [row["day"] for row in days if row["count"] < DAY // MINUTE]
    hours = await connection.fetch(
        """
        SELECT hour, minutes
        FROM unnest($2::timestamptz[]) AS partial (day)
        CROSS JOIN LATERAL (
            SELECT hour, minutes
            FROM hourly_rollups
            WHERE symbol = $1
              AND hour >= day
              AND hour < day + interval '24 hours'
            OFFSET 0    -- a generic plan would otherwise join every hour with every day
        ) AS hours
        ORDER BY hour
        """,
        symbol,
        partial,
    )
    whole = (Run(row["day"], row["day"] + DAY) for row in days if row["count"] == DAY // MINUTE)
    pieces = (run for row in hours for run in present_in_hour(row["hour"], row["minutes"]))
    return Runs([Run(start, end)]) - Runs([*whole, *pieces])


async def select_absences(
    connection: Connection, symbol: str, start: datetime, end: datetime, *, with_refused: bool = False
) -> Runs:
    """Return the minutes of the ledger's runs that touch [start, end): what the exchange does not have.

    With `with_refused` also what it has only as rows that were refused: asked for in vain as well, but not absent.
    """
    rows = await connection.fetch(
        """
        SELECT start_minute, end_minute
        FROM absences
        WHERE symbol = $1
          AND start_minute < $3
          AND end_minute > $2
          AND (NOT is_refused OR $4)
        ORDER BY start_minute
        """,
        symbol,
        start,
        end,
        with_refused,
    )
    return Runs(Run(row["start_minute"], row["end_minute"]) for row in rows)


async def select_gaps(connection: Connection, symbol: str, start: datetime, end: datetime) -> list[Gap]:
    """Return what is missing in [start, end) and why, oldest first; neighbours with one cause are one gap."""
    missing = await select_missing(connection, symbol, start, end)
    if not missing:
        return []
    return classify(missing, await select_absences(connection, symbol, start, end))


def present_in_hour(hour: datetime, minutes: int) -> Iterator[Run]:
    """Read an hour's mask, in which bit m stands for minute m, as runs of minutes that are there."""
    if minutes == (1 << 60) - 1:
        yield Run(hour, hour + _HOUR)
        return
    minute = 0
    while minute < 60:
        if minutes >> minute & 1:
            first = minute
            while minute < 60 and minutes >> minute & 1:
                minute += 1
            yield Run(hour + first * MINUTE, hour + minute * MINUTE)
        else:
            minute += 1


def classify(missing: Runs, absences: Runs) -> list[Gap]:
    """Give each missing minute its cause, and return them as gaps, oldest first."""
    not_collected = [Gap(*run, "not_collected") for run in missing - absences]
    source_absent = [Gap(*run, "source_absent") for run in missing & absences]
    return sorted(not_collected + source_absent)


def are_absent(gaps: Iterable[Gap]) -> bool:
    """Whether the exchange has none of these minutes, so that nothing of them is to be fetched."""
    return all(gap.cause == "source_absent" for gap in gaps)


def join_neighbours(gaps: Iterable[Gap]) -> list[Gap]:
    """Make one gap of those that touch and have one cause; they are given in order."""
    joined: list[Gap] = []
    for gap in gaps:
        if joined and joined[-1].end == gap.start and joined[-1].cause == gap.cause:
            joined[-1] = joined[-1]._replace(end=gap.end)
        else:
            joined.append(gap)
    return joined
