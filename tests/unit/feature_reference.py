"""The features once more, one row at a time in plain Python: slow, and obvious enough to hold the fast ones to.

Nothing here is taken from the code under test. A row's window is found by its minutes, not by its index, so that
a gap needs no rule of its own: a window that lacks a minute has no value.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

Value = float | None


class Row(NamedTuple):
    """One bar; `number` counts the intervals since 1970."""

    number: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float
    trades: float
    taker_base_volume: float


class Reference:
    """The rows of one interval, and each feature of the row at an index."""

    def __init__(self, rows: Sequence[Row], interval_ms: int) -> None:
        self.rows = rows
        self.interval_ms = interval_ms
        self.at = {row.number: row for row in rows}

    def values(self, name: str) -> list[Value]:
        """The feature's value at every row, None where it has none."""
        if name in RECURSIVE:
            return [value for run in self.runs() for value in RECURSIVE[name](run)]
        return [WINDOWED[name](self, row) for row in self.rows]

    def window(self, row: Row, count: int) -> list[Row] | None:
        """The last `count` bars, this one included; None when one of them is missing."""
        found = [self.at.get(row.number - back) for back in range(count)]
        rows = [bar for bar in found if bar is not None]
        return rows[::-1] if len(rows) == count else None

    def log_returns(self, row: Row, count: int) -> list[float] | None:
        """The last `count` one-bar log returns, which take one bar more."""
        rows = self.window(row, count + 1)
        if rows is None:
            return None
        return [math.log1p((after.close - before.close) / before.close) for before, after in pairs(rows)]

    def runs(self) -> list[list[Row]]:
        """The rows, divided where a bar is missing."""
        runs: list[list[Row]] = []
        for row in self.rows:
            if row.number - 1 in self.at:
                runs[-1].append(row)
            else:
                runs.append([row])
        return runs

    def opened_at(self, row: Row) -> datetime:
        """The time, UTC, at which a bar opens."""
        return datetime.fromtimestamp(row.number * self.interval_ms / 1000, UTC)


def pairs(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Each row with the one before it."""
    return list(pairwise(rows))


def ratio(part: float, whole: float) -> Value:
    """Divide; nothing cannot be divided by."""
    return part / whole if whole > 0 else None


def over_rows(count: int, formula: Callable[[list[Row]], Value]) -> Callable[[Reference, Row], Value]:
    """A feature of the last `count` bars."""

    def value(reference: Reference, row: Row) -> Value:
        rows = reference.window(row, count)
        return None if rows is None else formula(rows)

    return value


def over_returns(count: int, formula: Callable[[list[float]], Value]) -> Callable[[Reference, Row], Value]:
    """A feature of the last `count` log returns."""

    def value(reference: Reference, row: Row) -> Value:
        returns = reference.log_returns(row, count)
        return None if returns is None else formula(returns)

    return value


def simple_return(count: int) -> Callable[[Reference, Row], Value]:
    return over_rows(count + 1, lambda rows: (rows[-1].close - rows[0].close) / rows[0].close)


def mean_close(rows: list[Row]) -> float:
    return math.fsum(row.close for row in rows) / len(rows)


def root_of_squares(values: list[float]) -> float:
    return math.sqrt(math.fsum(value * value for value in values))


def root_of_mean(variances: list[float]) -> float:
    return math.sqrt(max(0.0, math.fsum(variances) / len(variances)))


def jump_share(returns: list[float]) -> Value:
    sizes = [abs(value) for value in returns]
    count = len(sizes)
    variance = math.fsum(size * size for size in sizes)
    neighbours = math.fsum(one * other for one, other in pairwise(sizes))
    if variance == 0:
        return None
    return max(0.0, 1.0 - math.pi / 2 * count / (count - 1) * neighbours / variance)


def bipower(returns: list[float]) -> float:
    return math.sqrt(math.pi / 2 * math.fsum(abs(one * other) for one, other in pairwise(returns)))


def range_volatility(rows: list[Row]) -> float:
    highest, lowest = max(row.high for row in rows), min(row.low for row in rows)
    return math.log(highest / lowest) / math.sqrt(4 * math.log(2))


def standardised_return(returns: list[float]) -> Value:
    return math.fsum(returns) / root_of_squares(returns) if any(returns) else None


def downside_share(returns: list[float]) -> Value:
    return ratio(
        math.fsum(value * value for value in returns if value < 0), math.fsum(value * value for value in returns)
    )


def parkinson(rows: list[Row]) -> float:
    return root_of_mean([math.log(row.high / row.low) ** 2 / (4 * math.log(2)) for row in rows])


def garman_klass(rows: list[Row]) -> float:
    return root_of_mean(
        [
            0.5 * math.log(row.high / row.low) ** 2 - (2 * math.log(2) - 1) * math.log(row.close / row.open) ** 2
            for row in rows
        ]
    )


def rogers_satchell(rows: list[Row]) -> float:
    return root_of_mean(
        [
            math.log(row.high / row.close) * math.log(row.high / row.open)
            + math.log(row.low / row.close) * math.log(row.low / row.open)
            for row in rows
        ]
    )


def band(deviations: float) -> Callable[[list[Row]], float]:
    return lambda rows: mean_close(rows) + deviations * statistics.pstdev(row.close for row in rows)


def percent_b(rows: list[Row]) -> Value:
    deviation = statistics.pstdev(row.close for row in rows)
    above = math.fsum(rows[-1].close - row.close for row in rows) / len(rows)
    return 0.5 + above / (4 * deviation) if deviation > 0 else None


def stochastic(rows: list[Row]) -> Value:
    lowest, highest = min(row.low for row in rows), max(row.high for row in rows)
    return ratio(100 * (rows[-1].close - lowest), highest - lowest)


def share(rows: list[Row], part: Callable[[Row], float]) -> Value:
    return ratio(math.fsum(part(row) for row in rows), math.fsum(row.volume for row in rows))


def vwap(rows: list[Row]) -> Value:
    return share(rows, lambda row: row.quote_volume)


def vwap_distance(rows: list[Row]) -> Value:
    paid = vwap(rows)
    return None if not paid else rows[-1].close / paid - 1


def multiple(rows: list[Row], part: Callable[[Row], float]) -> Value:
    return ratio(part(rows[-1]), math.fsum(part(row) for row in rows) / len(rows))


def time_of_day(reference: Reference, row: Row) -> float:
    moment = reference.opened_at(row)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return 2 * math.pi * (moment - midnight).total_seconds() / 86_400


WINDOWED: Mapping[str, Callable[[Reference, Row], Value]] = {
    **{f"return_{count}": simple_return(count) for count in (1, 5, 15, 60)},
    **{f"sma_{count}": over_rows(count, mean_close) for count in (15, 60)},
    "volatility_60": over_returns(60, statistics.stdev),
    "price_range": over_rows(1, lambda rows: rows[-1].high - rows[-1].low),
    "hour": lambda reference, row: reference.opened_at(row).hour,
    "day_of_week": lambda reference, row: reference.opened_at(row).weekday(),
    "log_return_1": over_returns(1, lambda returns: returns[0]),
    **{f"realised_volatility_{count}": over_returns(count, root_of_squares) for count in (5, 15, 60, 360, 1440, 4320)},
    "downside_volatility_60": over_returns(
        60, lambda values: root_of_squares([value for value in values if value < 0])
    ),
    "upside_volatility_60": over_returns(60, lambda values: root_of_squares([value for value in values if value > 0])),
    "jump_share_60": over_returns(60, jump_share),
    "parkinson_60": over_rows(60, parkinson),
    **{f"garman_klass_{count}": over_rows(count, garman_klass) for count in (1, 5, 15, 60, 360, 1440)},
    **{f"bipower_volatility_{count}": over_returns(count + 1, bipower) for count in (15, 60, 360)},
    **{f"range_volatility_{count}": over_rows(count, range_volatility) for count in (15, 60, 360, 1440)},
    **{
        f"standardised_return_{count}": over_returns(count, standardised_return)
        for count in (5, 15, 30, 60, 180, 360, 720, 1440)
    },
    **{f"downside_share_{count}": over_returns(count, downside_share) for count in (15, 60, 360)},
    **{
        f"mean_quote_volume_{count}": over_rows(
            count, lambda rows: math.fsum(row.quote_volume for row in rows) / len(rows)
        )
        for count in (1, 5, 15, 60, 360, 1440)
    },
    **{
        f"mean_trades_{count}": over_rows(count, lambda rows: math.fsum(row.trades for row in rows) / len(rows))
        for count in (5, 15, 60, 1440)
    },
    "rogers_satchell_60": over_rows(60, rogers_satchell),
    "bollinger_upper_20": over_rows(20, band(2)),
    "bollinger_lower_20": over_rows(20, band(-2)),
    "bollinger_percent_b_20": over_rows(20, percent_b),
    "stochastic_k_14": over_rows(14, stochastic),
    "vwap_60": over_rows(60, vwap),
    **{f"vwap_distance_{count}": over_rows(count, vwap_distance) for count in (1, 5, 15, 60)},
    "taker_share_1": over_rows(1, lambda rows: share(rows, lambda row: row.taker_base_volume)),
    "taker_share_60": over_rows(60, lambda rows: share(rows, lambda row: row.taker_base_volume)),
    "volume_ratio_60": over_rows(60, lambda rows: multiple(rows, lambda row: row.volume)),
    "trades_ratio_60": over_rows(60, lambda rows: multiple(rows, lambda row: row.trades)),
    "time_of_day_sin": lambda reference, row: math.sin(time_of_day(reference, row)),
    "time_of_day_cos": lambda reference, row: math.cos(time_of_day(reference, row)),
}


def smooth(values: Sequence[Value], alpha: float, count: int) -> list[Value]:
    """Exponential smoothing of one run, begun with the mean of its first `count` values."""
    result: list[Value] = []
    first: list[float] = []
    level: Value = None
    for value in values:
        if value is None:
            result.append(None)
            continue
        if level is not None:
            level += alpha * (value - level)
        else:
            first.append(value)
            if len(first) == count:
                level = math.fsum(first) / count
        result.append(level)
    return result


def combine(ones: Sequence[Value], others: Sequence[Value], formula: Callable[[float, float], Value]) -> list[Value]:
    """A formula of two features; None where either is."""
    return [
        None if one is None or other is None else formula(one, other) for one, other in zip(ones, others, strict=True)
    ]


def exponential_mean(run: Sequence[Row], count: int) -> list[Value]:
    return smooth([row.close for row in run], 2 / (count + 1), count)


def rsi(run: Sequence[Row]) -> list[Value]:
    gains: list[Value] = [None, *(max(0.0, after.close - before.close) for before, after in pairs(run))]
    losses: list[Value] = [None, *(max(0.0, before.close - after.close) for before, after in pairs(run))]
    moved = combine(smooth(gains, 1 / 14, 14), smooth(losses, 1 / 14, 14), lambda gain, loss: gain + loss)
    index = combine(smooth(gains, 1 / 14, 14), moved, lambda gain, whole: 100 * gain / whole if whole > 0 else 50.0)
    # What has decayed below this part of the price is as good as nothing.
    return [
        50.0 if size is not None and size <= 1e-13 * row.close else value
        for row, size, value in zip(run, moved, index, strict=True)
    ]


def average_true_range(run: Sequence[Row]) -> list[Value]:
    ranges: list[Value] = [
        None,
        *(
            max(after.high - after.low, abs(after.high - before.close), abs(after.low - before.close))
            for before, after in pairs(run)
        ),
    ]
    return smooth(ranges, 1 / 14, 14)


def macd(run: Sequence[Row]) -> list[Value]:
    return combine(exponential_mean(run, 12), exponential_mean(run, 26), lambda fast, slow: fast - slow)


def macd_signal(run: Sequence[Row]) -> list[Value]:
    return smooth(macd(run), 2 / 10, 9)


RECURSIVE: Mapping[str, Callable[[Sequence[Row]], list[Value]]] = {
    "ema_15": lambda run: exponential_mean(run, 15),
    "rsi_14": rsi,
    "atr_14": average_true_range,
    "macd_12_26": macd,
    "macd_signal_9": macd_signal,
    "macd_histogram": lambda run: combine(macd(run), macd_signal(run), lambda one, signal: one - signal),
}
