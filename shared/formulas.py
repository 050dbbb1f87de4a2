"""The formulas of the features, over bars; `shared.feature_table` has the name, unit and source of each."""

from collections.abc import Callable

import numpy as np

from shared.bars import Bars, log_ratio
from shared.instant import DAY_MS, HOUR_MS
from shared.rolling import (
    Floats,
    Integers,
    lag,
    rolling_deviation,
    rolling_extreme,
    rolling_mean,
    rolling_sum,
    smooth,
    subtract_rolling_mean,
    subtract_smoothed,
)

# 1970-01-01 was a Thursday, and Monday is day 0.
_FIRST_WEEKDAY = 3
# Wilder's means decay but never reach 0. When prices stand still for hours, their ratio would depend on bars further
# back than a page reads. Below this share of the price they count as 0.
_UNMOVED_SHARE = 1e-13


def rate_of_return(bars: Bars, count: int) -> Floats:
    """Close / close `count` bars ago - 1."""
    # The difference of two close prices is exact; a quotient near 1 is rounded before 1 is subtracted.
    before = lag(bars.close, count, bars.age)
    return (bars.close - before) / before


def above_exponential_mean(bars: Bars, window: int) -> Floats:
    """Close less the exponential mean over `window` bars, α = 2 / (window + 1)."""
    return subtract_smoothed(bars.close, 2.0 / (window + 1), window, bars.age)


def exponential_mean(bars: Bars, window: int) -> Floats:
    """Begun with the mean of `window` closes, e = e before + 2 / (window + 1) (close - e before) (Murphy 1999)."""
    return bars.close - above_exponential_mean(bars, window)


def rsi(bars: Bars, window: int) -> Floats:
    """100 G / (G + L), G and L Wilder's means of gains and losses (Wilder 1978); 50 where nothing moved."""
    gain = smooth(np.maximum(bars.change, 0.0), 1.0 / window, window, bars.age, before=1)
    loss = smooth(np.maximum(-bars.change, 0.0), 1.0 / window, window, bars.age, before=1)
    moved = gain + loss
    unmoved = moved <= _UNMOVED_SHARE * bars.close
    return np.where(unmoved, 50.0, quotient(100.0 * gain, np.where(unmoved, np.nan, moved)))


def macd(bars: Bars) -> Floats:
    """Exponential mean of closes over 12 bars less that over 26 (Appel 2005)."""
    return above_exponential_mean(bars, 26) - above_exponential_mean(bars, 12)


def macd_signal(bars: Bars) -> Floats:
    """Exponential mean of the MACD over 9 bars (Appel 2005); the first MACD of a run is its 26th bar's."""
    return smooth(macd(bars), 2.0 / 10.0, 9, bars.age, before=25)


def bollinger(bars: Bars, deviations: float) -> Floats:
    """Mean of 20 closes + `deviations` population standard deviations (Bollinger 2001)."""
    width = rolling_deviation(bars.close, 20, bars.age, sample=False)
    return rolling_mean(bars.close, 20, bars.age) + deviations * width


def realised(bars: Bars, window: int, kept: Callable[[Floats], Floats] = lambda returns: returns) -> Floats:
    """√ of the sum of `window` squared log returns, each first passed through `kept` (Andersen et al. 2003)."""
    squares = kept(bars.log_return) ** 2
    return np.asarray(np.sqrt(window * window_mean(bars, squares, window)), dtype=np.float64)


def window_mean(bars: Bars, values: Floats, window: int) -> Floats:
    """Mean of `values` over the last `window` bars, of which the bars' `least_share` must exist."""
    return rolling_mean(values, window, bars.age, bars.least_share)


def bipower(bars: Bars, window: int) -> Floats:
    """√ of π/2 sum |r| |r before| over `window` bars: volatility without jumps (Barndorff-Nielsen, Shephard 2004)."""
    size = np.abs(bars.log_return)
    neighbours = size * lag(size, 1, bars.age)
    return np.asarray(np.sqrt(np.pi / 2.0 * window * window_mean(bars, neighbours, window)), dtype=np.float64)


def standardised_return(bars: Bars, window: int) -> Floats:
    """Sum of `window` log returns / √ of the sum of their squares: a variance ratio's root (Lo and MacKinlay 1988)."""
    total = window * window_mean(bars, bars.log_return, window)
    return quotient(total, realised(bars, window))


def downside_share(bars: Bars, window: int) -> Floats:
    """Sum of the squared negative log returns / sum of the squared log returns (Barndorff-Nielsen et al. 2010)."""
    squares = bars.log_return**2
    below = np.where(bars.log_return < 0.0, squares, 0.0 * squares)
    return quotient(window_mean(bars, below, window), window_mean(bars, squares, window))


def range_volatility(bars: Bars, window: int) -> Floats:
    """ln(highest high / lowest low) / √(4 ln 2): Parkinson's estimate (1980) with the window as one bar."""
    highest = rolling_extreme(bars.high, window, bars.age, highest=True, least_share=bars.least_share)
    lowest = rolling_extreme(bars.low, window, bars.age, highest=False, least_share=bars.least_share)
    return np.asarray(log_ratio(highest, lowest) / np.sqrt(4.0 * np.log(2.0)))


def jump_share(bars: Bars, window: int) -> Floats:
    """max(0, 1 - BV / RV), BV = π/2 w/(w-1) sum |r| |r before| (Huang and Tauchen 2005)."""
    size = np.abs(bars.log_return)
    neighbours = size * lag(size, 1, bars.age)
    bipower = np.pi / 2.0 * rolling_sum(neighbours, window - 1, bars.age) * window / (window - 1)
    variance = rolling_sum(size**2, window, bars.age)
    return np.asarray(np.clip(quotient(variance - bipower, variance), 0.0, 1.0), dtype=np.float64)


def range_based(bars: Bars, window: int, variance: Floats) -> Floats:
    """√ of the mean of `variance` over the last `window` bars."""
    # Rounding can make a variance of 0 slightly negative.
    return np.asarray(np.sqrt(np.maximum(window_mean(bars, variance, window), 0.0)), dtype=np.float64)


def parkinson(bars: Bars, window: int) -> Floats:
    """√ of the mean of ln(high / low)² / (4 ln 2) (Parkinson 1980)."""
    return range_based(bars, window, bars.log_range**2 / (4.0 * np.log(2.0)))


def garman_klass(bars: Bars, window: int) -> Floats:
    """√ of the mean of ½ ln(high / low)² - (2 ln 2 - 1) ln(close / open)² (Garman and Klass 1980)."""
    body = log_ratio(bars.close, bars.open)
    return range_based(bars, window, 0.5 * bars.log_range**2 - (2.0 * np.log(2.0) - 1.0) * body**2)


def rogers_satchell(bars: Bars, window: int) -> Floats:
    """√ of the mean of ln(h/c) ln(h/o) + ln(l/c) ln(l/o) (Rogers and Satchell 1991)."""
    up = log_ratio(bars.high, bars.close) * log_ratio(bars.high, bars.open)
    down = log_ratio(bars.low, bars.close) * log_ratio(bars.low, bars.open)
    return range_based(bars, window, up + down)


def vwap(bars: Bars, window: int) -> Floats:
    """Sum of quote volume / sum of volume (Berkowitz, Logue and Noser 1988)."""
    return share_of_sums(bars, bars.quote_volume, window)


def vwap_distance(bars: Bars, window: int) -> Floats:
    """Close / VWAP - 1; NaN also when amounts are so small that the exchange rounds the quote volume to 0."""
    paid = vwap(bars, window)
    return quotient(bars.close - paid, paid)


def share_of_sums(bars: Bars, part: Floats, window: int) -> Floats:
    """Sum of `part` / sum of volume; NaN without trades."""
    return quotient(rolling_sum(part, window, bars.age), rolling_sum(bars.volume, window, bars.age))


def against_mean(bars: Bars, values: Floats, window: int) -> Floats:
    """Each value / the mean of the last `window` values; NaN where that mean is 0."""
    return quotient(values, rolling_mean(values, window, bars.age))


def stochastic(bars: Bars, window: int) -> Floats:
    """100 (close - lowest low) / (highest high - lowest low) (Lane 1984); NaN where nothing moved."""
    highest = rolling_extreme(bars.high, window, bars.age, highest=True)
    lowest = rolling_extreme(bars.low, window, bars.age, highest=False)
    return quotient(100.0 * (bars.close - lowest), highest - lowest)


def percent_b(bars: Bars) -> Floats:
    """(close - lower band) / (upper - lower band) (Bollinger 2001); NaN where nothing moved."""
    width = 4.0 * rolling_deviation(bars.close, 20, bars.age, sample=False)
    return 0.5 + quotient(subtract_rolling_mean(bars.close, 20, bars.age), width)


def time_of_day(bars: Bars, wave: Callable[[Floats], Floats]) -> Floats:
    """`wave`, such as the sine, of the time of the UTC day at which a bar opens, as an angle in radians."""
    share: Floats = (bars.open_time % DAY_MS) / DAY_MS
    return wave(2.0 * np.pi * share)


def quotient(part: Floats, whole: Floats) -> Floats:
    """Return part / whole, NaN where `whole` is not above 0."""
    result: Floats = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return result


def hour(bars: Bars) -> Integers:
    """Return the UTC hour in which each bar opens."""
    return np.asarray(bars.open_time % DAY_MS // HOUR_MS, dtype=np.int64)


def day_of_week(bars: Bars) -> Integers:
    """Return the UTC day of the week on which each bar opens, Monday 0."""
    return np.asarray((bars.open_time // DAY_MS + _FIRST_WEEKDAY) % 7, dtype=np.int64)
