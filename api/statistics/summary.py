"""Statistics of closes, from arrays: pure arithmetic."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from api.statistics.fields import PERCENTILES
from api.statistics.queries import Closes
from shared.rolling import Floats

_BLOCK = 64


@dataclass(frozen=True)
class Summary:
    """What closes say together, under the names that the answer has; `percentiles` are those of PERCENTILES."""

    count: int
    mean: float | None = None
    std: float | None = None
    median: Decimal | None = None
    percentiles: tuple[Decimal | None, ...] = (None,) * len(PERCENTILES)
    realised_volatility: float | None = None
    max_drawdown: float | None = None


def summarise(closes: Closes) -> Summary:
    """Sum the closes up; None where there are too few."""
    values = closes.values
    count = len(values)
    if count == 0:
        return Summary(0)
    quantiles = _quantiles(values, (50, *PERCENTILES))
    mean = float(np.mean(values))
    return Summary(
        count=count,
        mean=mean,
        std=_compute_deviation(values, mean) if count > 1 else None,
        median=quantiles[0],
        percentiles=tuple(quantiles[1:]),
        realised_volatility=_compute_realised_volatility(closes),
        max_drawdown=_compute_max_drawdown(values),
    )


def _quantiles(values: Floats, percents: Sequence[int]) -> list[Decimal]:
    """Quantiles by linear interpolation between order statistics (type 7 of Hyndman and Fan, 1996), exact.

    The closes are decimals that were made floats, and a float's shortest text gives the decimal back; the
    interpolation is then done in decimals, so that the median of 0.1 and 0.3 is 0.2.
    """
    ranks = [divmod(percent * (len(values) - 1), 100) for percent in percents]
    # Sorting is quicker than selecting ten places: numpy sorts with the processor's vector instructions.
    ordered = np.sort(values)

    def placed(index: int) -> Decimal:
        return Decimal(repr(float(ordered[min(index, len(values) - 1)])))

    return [placed(rank) + (placed(rank + 1) - placed(rank)) * hundredths / 100 for rank, hundredths in ranks]


def _compute_deviation(values: Floats, mean: float) -> float:
    """The sample standard deviation."""
    residuals = values - mean
    return math.sqrt(float(residuals @ residuals) / (len(values) - 1))


def _compute_realised_volatility(closes: Closes) -> float:
    """The root of the summed squared log returns between neighbouring minutes; a missing minute has none."""
    returns = np.diff(np.log(closes.values))
    if not closes.are_unbroken():
        returns = returns[np.diff(closes.minutes()) == 1]
    return math.sqrt(float(returns @ returns))


def _compute_max_drawdown(values: Floats) -> float:
    """The deepest fall below an earlier close, as a fraction of that one; 0 where none falls.

    The lowest of a block against the highest up to the block's end bounds what is in it, so that only the blocks that
    can hold the deepest are gone through: a running maximum over everything is slow.
    """
    starts = np.arange(0, len(values), _BLOCK)
    peaks = np.maximum.accumulate(np.maximum.reduceat(values, starts))
    bounds = np.minimum.reduceat(values, starts) / peaks - 1
    deepest = 0.0
    for block in np.argsort(bounds):
        if bounds[block] >= deepest:
            break
        part = values[starts[block] : starts[block] + _BLOCK]
        before = peaks[block - 1] if block else 0.0
        deepest = min(deepest, float(np.min(part / np.maximum(np.maximum.accumulate(part), before) - 1)))
    return deepest
