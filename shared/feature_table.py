"""The table of the features: of each its name, formula, unit, source, memory, and the code that computes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from shared.bars import Bars
from shared.formulas import (
    against_mean,
    bipower,
    bollinger,
    day_of_week,
    downside_share,
    exponential_mean,
    garman_klass,
    hour,
    jump_share,
    macd,
    macd_signal,
    parkinson,
    percent_b,
    quotient,
    range_volatility,
    rate_of_return,
    realised,
    rogers_satchell,
    rsi,
    share_of_sums,
    standardised_return,
    stochastic,
    time_of_day,
    vwap,
    vwap_distance,
    window_mean,
)
from shared.rolling import Floats, Integers, rolling_deviation, rolling_mean, smooth

# Increase it when a formula changes, so that no model gets other features than it was trained on.
FEATURE_VERSION = 1
# After so many bars the start of a recursive feature has no weight left: (1 - 1/14)^600 is 5e-20.
WARM_UP_BARS = 600


@dataclass(frozen=True)
class Feature:
    """A feature: its formula, unit and source, and how it is computed."""

    name: str
    formula: str
    unit: str
    source: str
    reads: int
    """How many bars before a bar its value is made from; WARM_UP_BARS for a recursive one."""
    columns: tuple[str, ...]
    """The numbers of a bar that it is made from."""
    compute: Callable[[Bars], Floats | Integers]


def _windows(  # noqa: PLR0913, PLR0917 - a feature has these sides, as a row of a table has its columns
    name: str,
    windows: tuple[int, ...],
    formula: str,
    unit: str,
    source: str,
    reads: int,
    columns: tuple[str, ...],
    compute: Callable[[Bars, int], Floats],
) -> tuple[Feature, ...]:
    """The same feature over several windows: `{n}` in a text is the window, and `reads` counts on from it."""

    def over(n: int) -> Feature:
        return Feature(
            name=f"{name}_{n}",
            formula=formula.format(n=n),
            unit=unit.format(n=n),
            source=source,
            reads=n + reads,
            columns=columns,
            compute=lambda bars: compute(bars, n),
        )

    return tuple(map(over, windows))


_NO_COLUMN: tuple[str, ...] = ()
_CLOSE = ("close",)
_RANGE = ("high", "low")
_RANGE_AND_CLOSE = (*_RANGE, "close")
_PRICES = ("open", *_RANGE_AND_CLOSE)
_VOLUME = ("volume",)
_QUOTE_VOLUME = ("quote_volume",)
_VOLUMES = ("volume", "quote_volume")
_CLOSE_AND_VOLUMES = ("close", *_VOLUMES)
_TAKER_VOLUMES = ("volume", "taker_base_volume")
_TRADES = ("trades",)

_WILDER = "Wilder, New Concepts in Technical Trading Systems (1978)"
_BOLLINGER = "Bollinger, Bollinger on Bollinger Bands (2001)"
_APPEL = "Appel, Technical Analysis: Power Tools for Active Investors (2005)"
_MURPHY = "Murphy, Technical Analysis of the Financial Markets (1999)"
_ANDERSEN = "Andersen, Bollerslev, Diebold and Labys, Modeling and Forecasting Realized Volatility (2003)"
_SEMI = "Barndorff-Nielsen, Kinnebrock and Shephard, Measuring Downside Risk: Realised Semivariance (2010)"
_JUMPS = "Huang and Tauchen, The Relative Contribution of Jumps to Total Price Variance (2005)"
_HULL = "Hull, Options, Futures, and Other Derivatives (2018)"
_BERKOWITZ = "Berkowitz, Logue and Noser, The Total Cost of Transactions on the NYSE (1988)"
_TAKER = "the exchange's kline fields"
_PER_BAR = "fraction a bar, not annualised"
_CLOCK = "the bar's open, UTC"

_DEFAULT = (
    *_windows(
        "return",
        (1, 5, 15, 60),
        "close / close {n} bars ago − 1",
        "fraction",
        "simple rate of return",
        0,
        _CLOSE,
        rate_of_return,
    ),
    *_windows(
        "sma",
        (15, 60),
        "mean of the last {n} closes",
        "quote currency",
        _MURPHY,
        -1,
        _CLOSE,
        lambda bars, n: rolling_mean(bars.close, n, bars.age),
    ),
    Feature(
        "ema_15",
        "e = e before + 2/16 (close − e before), begun with the mean of the run's first 15 closes",
        "quote currency",
        _MURPHY,
        WARM_UP_BARS,
        _CLOSE,
        lambda bars: exponential_mean(bars, 15),
    ),
    Feature(
        "volatility_60",
        "sample standard deviation of the last 60 one-bar log returns",
        _PER_BAR,
        _HULL,
        60,
        _CLOSE,
        lambda bars: rolling_deviation(bars.log_return, 60, bars.age),
    ),
    Feature(
        "rsi_14",
        "100 G / (G + L), Wilder's means (α = 1/14) of gains and losses, begun with the run's first 14; "
        "50 where nothing moved (G + L ≤ 10⁻¹³ close)",
        "0 to 100",
        _WILDER,
        WARM_UP_BARS,
        _CLOSE,
        lambda bars: rsi(bars, 14),
    ),
    Feature("price_range", "high − low", "quote currency", _MURPHY, 0, _RANGE, lambda bars: bars.high - bars.low),
    Feature("hour", "hour of the day", "0 to 23", _CLOCK, 0, _NO_COLUMN, hour),
    Feature(
        "day_of_week",
        "day of the week",
        "0 (Monday) to 6",
        _CLOCK,
        0,
        _NO_COLUMN,
        day_of_week,
    ),
)

_FURTHER = (
    Feature(
        "log_return_1", "ln(close / close before)", "natural log", _ANDERSEN, 1, _CLOSE, lambda bars: bars.log_return
    ),
    *_windows(
        "realised_volatility",
        (5, 15, 60, 360, 1440, 4320),
        "√ of the sum of the last {n} squared one-bar log returns",
        "fraction over {n} bars",
        _ANDERSEN,
        0,
        _CLOSE,
        realised,
    ),
    Feature(
        "downside_volatility_60",
        "√ of the sum of the squared negative ones of the last 60 log returns",
        "fraction over 60 bars",
        _SEMI,
        60,
        _CLOSE,
        lambda bars: realised(bars, 60, lambda returns: np.minimum(returns, 0.0)),
    ),
    Feature(
        "upside_volatility_60",
        "√ of the sum of the squared positive ones of the last 60 log returns",
        "fraction over 60 bars",
        _SEMI,
        60,
        _CLOSE,
        lambda bars: realised(bars, 60, lambda returns: np.maximum(returns, 0.0)),
    ),
    Feature(
        "jump_share_60",
        "max(0, 1 − BV / RV) over 60 log returns, BV = π/2 · 60/59 · sum of abs(r · r before); null if nothing moved",
        "0 to 1",
        _JUMPS,
        60,
        _CLOSE,
        lambda bars: jump_share(bars, 60),
    ),
    Feature(
        "parkinson_60",
        "√ of the mean of ln(high / low)² / (4 ln 2) over 60 bars",
        _PER_BAR,
        "Parkinson, The Extreme Value Method for Estimating the Variance of the Rate of Return (1980)",
        59,
        _RANGE,
        lambda bars: parkinson(bars, 60),
    ),
    *_windows(
        "garman_klass",
        (1, 5, 15, 60, 360, 1440),
        "√ of the mean of ½ ln(high / low)² − (2 ln 2 − 1) ln(close / open)² over the last {n} bars",
        _PER_BAR,
        "Garman and Klass, On the Estimation of Security Price Volatilities from Historical Data (1980)",
        -1,
        _PRICES,
        garman_klass,
    ),
    *_windows(
        "bipower_volatility",
        (15, 60, 360),
        "√ of π/2 · sum of abs(r · r before) over the last {n} bars: without the jumps",
        "fraction over {n} bars",
        "Barndorff-Nielsen and Shephard, Power and Bipower Variation with Stochastic Volatility and Jumps (2004)",
        1,
        _CLOSE,
        bipower,
    ),
    *_windows(
        "range_volatility",
        (15, 60, 360, 1440),
        "ln(highest high / lowest low) / √(4 ln 2) over the last {n} bars",
        "fraction over {n} bars",
        "Parkinson, The Extreme Value Method for Estimating the Variance of the Rate of Return (1980)",
        -1,
        _RANGE,
        range_volatility,
    ),
    *_windows(
        "standardised_return",
        (5, 15, 30, 60, 180, 360, 720, 1440),
        "sum of the last {n} log returns / realised volatility over them; null where nothing moved",
        "realised volatilities",
        "Lo and MacKinlay, Stock Market Prices Do Not Follow Random Walks (1988)",
        0,
        _CLOSE,
        standardised_return,
    ),
    *_windows(
        "downside_share",
        (15, 60, 360),
        "sum of the squared negative ones / sum of all squares of the last {n} log returns; null where nothing moved",
        "0 to 1",
        _SEMI,
        0,
        _CLOSE,
        downside_share,
    ),
    *_windows(
        "mean_quote_volume",
        (1, 5, 15, 60, 360, 1440),
        "mean of the last {n} quote volumes",
        "quote currency a bar",
        _TAKER,
        -1,
        _QUOTE_VOLUME,
        lambda bars, n: window_mean(bars, bars.quote_volume, n),
    ),
    *_windows(
        "mean_trades",
        (5, 15, 60, 1440),
        "mean of the last {n} counts of trades",
        "trades a bar",
        _TAKER,
        -1,
        _TRADES,
        lambda bars, n: window_mean(bars, bars.trades, n),
    ),
    Feature(
        "rogers_satchell_60",
        "√ of the mean of ln(high/close) ln(high/open) + ln(low/close) ln(low/open) over 60 bars",
        _PER_BAR,
        "Rogers and Satchell, Estimating Variance from High, Low and Closing Prices (1991)",
        59,
        _PRICES,
        lambda bars: rogers_satchell(bars, 60),
    ),
    Feature(
        "bollinger_upper_20",
        "mean of 20 closes + 2 population standard deviations of them",
        "quote currency",
        _BOLLINGER,
        19,
        _CLOSE,
        lambda bars: bollinger(bars, 2.0),
    ),
    Feature(
        "bollinger_lower_20",
        "mean of 20 closes − 2 population standard deviations of them",
        "quote currency",
        _BOLLINGER,
        19,
        _CLOSE,
        lambda bars: bollinger(bars, -2.0),
    ),
    Feature(
        "bollinger_percent_b_20",
        "(close − lower band) / (upper band − lower band); null where nothing moved",
        "0 at the lower band, 1 at the upper",
        _BOLLINGER,
        19,
        _CLOSE,
        percent_b,
    ),
    Feature(
        "atr_14",
        "Wilder's mean (α = 1/14) of the true range, max(high, close before) − min(low, close before), "
        "begun with the mean of the run's first 14",
        "quote currency",
        _WILDER,
        WARM_UP_BARS,
        _RANGE_AND_CLOSE,
        lambda bars: smooth(bars.true_range, 1.0 / 14.0, 14, bars.age, before=1),
    ),
    Feature(
        "macd_12_26",
        "exponential mean of closes over 12 bars (α = 2/13) − that over 26 (α = 2/27), each begun as ema_15 is",
        "quote currency",
        _APPEL,
        WARM_UP_BARS,
        _CLOSE,
        macd,
    ),
    Feature(
        "macd_signal_9",
        "exponential mean of macd_12_26 over 9 bars (α = 2/10), begun with the mean of its first 9",
        "quote currency",
        _APPEL,
        WARM_UP_BARS,
        _CLOSE,
        macd_signal,
    ),
    Feature(
        "macd_histogram",
        "macd_12_26 − macd_signal_9",
        "quote currency",
        _APPEL,
        WARM_UP_BARS,
        _CLOSE,
        lambda bars: macd(bars) - macd_signal(bars),
    ),
    Feature(
        "stochastic_k_14",
        "100 (close − lowest low) / (highest high − lowest low) over 14 bars; null where nothing moved",
        "0 to 100",
        "Lane, Lane's Stochastics (1984)",
        13,
        _RANGE_AND_CLOSE,
        lambda bars: stochastic(bars, 14),
    ),
    Feature(
        "vwap_60",
        "sum of quote volume / sum of volume over 60 bars; null without trades",
        "quote currency",
        _BERKOWITZ,
        59,
        _VOLUMES,
        lambda bars: vwap(bars, 60),
    ),
    *_windows(
        "vwap_distance",
        (1, 5, 15, 60),
        "close / (sum of quote volume / sum of volume over {n} bars) − 1; null without trades, or if it is 0",
        "fraction",
        _BERKOWITZ,
        -1,
        _CLOSE_AND_VOLUMES,
        vwap_distance,
    ),
    Feature(
        "taker_share_1",
        "taker base volume / volume; null without trades",
        "0 to 1",
        _TAKER,
        0,
        _TAKER_VOLUMES,
        lambda bars: quotient(bars.taker_base_volume, bars.volume),
    ),
    Feature(
        "taker_share_60",
        "sum of taker base volume / sum of volume over 60 bars; null without trades",
        "0 to 1",
        _TAKER,
        59,
        _TAKER_VOLUMES,
        lambda bars: share_of_sums(bars, bars.taker_base_volume, 60),
    ),
    Feature(
        "volume_ratio_60",
        "volume / mean of the last 60 volumes; null without trades",
        "multiple",
        _MURPHY,
        59,
        _VOLUME,
        lambda bars: against_mean(bars, bars.volume, 60),
    ),
    Feature(
        "trades_ratio_60",
        "trades / mean of the last 60 counts of trades; null without trades",
        "multiple",
        _TAKER,
        59,
        _TRADES,
        lambda bars: against_mean(bars, bars.trades, 60),
    ),
    Feature(
        "time_of_day_sin",
        "sin(2π · share of the day)",
        "−1 to 1",
        _CLOCK,
        0,
        _NO_COLUMN,
        lambda bars: time_of_day(bars, np.sin),
    ),
    Feature(
        "time_of_day_cos",
        "cos(2π · share of the day)",
        "−1 to 1",
        _CLOCK,
        0,
        _NO_COLUMN,
        lambda bars: time_of_day(bars, np.cos),
    ),
)

FEATURES: Mapping[str, Feature] = {feature.name: feature for feature in (*_DEFAULT, *_FURTHER)}
DEFAULT_FEATURES = tuple(feature.name for feature in _DEFAULT)
ALL_FEATURES = tuple(FEATURES)
