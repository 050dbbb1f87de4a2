"""The gap ledger's writing side: what the exchange was asked for and does not have, and when to ask again."""

from datetime import datetime, timedelta

from shared.database.connection import Connection
from shared.instant import DAY
from shared.runs import Run, Runs

# Asked again after 1, 2, 4 … minutes: while young at least every 6 hours, afterwards up to every 30 days.
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE_YOUNG = timedelta(hours=6)
LONGEST_PAUSE_OLD = timedelta(days=30)
YOUNG = 7 * DAY
_NONE = Runs()


def choose_pause(times_asked: int, age: timedelta) -> timedelta:
    """Return the pause before asking again for minutes that are `age` old and were asked for so many times."""
    longest = LONGEST_PAUSE_YOUNG if age < YOUNG else LONGEST_PAUSE_OLD
    return min(longest, FIRST_PAUSE * (1 << min(times_asked - 1, 20)))


async def record_answer(  # noqa: PLR0913 - what was asked, what came of it, and when
    connection: Connection,
    symbol: str,
    asked: Run,
    absent: Runs,
    now: datetime,
    *,
    refused: Runs = _NONE,
) -> None:
    """Write down that the exchange, asked for `asked`, lacks the minutes `absent`, and has only nonsense for `refused`.

    To be called in the transaction that stores what it has. Ledger runs that reach out of `asked` keep what lies
    outside; a run that was known counts one asking more. `now` is the exchange's time.
    """
    known = await connection.fetch(
        """
        DELETE FROM absences
        WHERE symbol = $1
          AND start_minute < $3
          AND end_minute > $2
        RETURNING start_minute, end_minute, first_asked_at, asked_at, times_asked, ask_again_at, is_refused
        """,
        symbol,
        asked.start,
        asked.end,
    )
    rows: list[tuple[object, ...]] = []
    for row in known:
        kept = Runs([Run(row["start_minute"], row["end_minute"])]) - Runs([asked])
        rows += [(*run, *tuple(row)[2:]) for run in kept]
    for run, is_refused in (*((run, False) for run in absent), *((run, True) for run in refused)):
        before = [row for row in known if row["start_minute"] < run.end and row["end_minute"] > run.start]
        times = 1 + max((row["times_asked"] for row in before), default=0)
        first = min((row["first_asked_at"] for row in before), default=now)
        rows.append((*run, first, now, times, now + choose_pause(times, now - run.end), is_refused))
    if not rows:
        return
    await connection.execute(
        """
        INSERT INTO absences (
            symbol, start_minute, end_minute, first_asked_at, asked_at, times_asked, ask_again_at, is_refused
        )
        SELECT $1, *
        FROM unnest(
            $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], $6::integer[],
            $7::timestamptz[], $8::boolean[]
        )
        """,
        symbol,
        *(list(column) for column in zip(*rows, strict=True)),
    )


async def select_due_absences(connection: Connection, symbol: str, now: datetime) -> Runs:
    """Return the minutes to ask for again by now."""
    rows = await connection.fetch(
        """
        SELECT start_minute, end_minute
        FROM absences
        WHERE symbol = $1
          AND ask_again_at <= $2
        """,
        symbol,
        now,
    )
    return Runs(Run(row["start_minute"], row["end_minute"]) for row in rows)
