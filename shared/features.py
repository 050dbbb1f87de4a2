"""The features of a bar: one implementation for the history endpoint and for the models, vectorised over bars.

A window counts bars of the interval, the bar's own included. A value is NaN while its window is not full or a bar in
it is missing; recursive features begin anew after a gap. Nothing looks ahead, and what lies before a window leaves no
trace in it, so that a value does not depend on where the bars begin, given `warm_up_bars` of them before.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
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
from shared.rolling import Floats, Integers, rolling_deviation, rolling_mean, smoothed

# Raised when a formula changes, so that a model is never fed with features of another kind than it learned from.
FEATURE_VERSION = 1
# After so many bars a recursive feature has forgotten its beginning: (1 - 1/14)^600 is 5e-20.
WARM_UP_BARS = 600


@dataclass(frozen=True)
class Feature:
    """A feature: how it is computed, and what a reader must know of it."""

    name: str
    formula: str
    unit: str
    source: str
    reads: int
    """How many bars before a bar its value is made from; WARM_UP_BARS for a recursive one."""
    compute: Callable[[Bars], Floats | Integers]


def compute(bars: Bars, names: Sequence[str]) -> dict[str, Floats | Integers]:
    """Return the named features in that order, one value a bar, NaN where there is none; KeyError for other names."""
    return {name: FEATURES[name].compute(bars) for name in names}


def warm_up_bars(names: Sequence[str]) -> int:
    """Return how many bars before the first wanted one must be given for its features to be whole."""
    return max((FEATURES[name].reads for name in names), default=0)


def parse_names(text: str) -> tuple[str, ...]:
    """Read `default`, `none`, `all` or a comma list of names, in which those words may stand too; each name once.

    Raises ValueError with a sentence that names the nearest known ones.
    """
    names: dict[str, None] = {}
    for word in (word.strip() for word in text.split(",")):
        if word in _SETS:
            names |= dict.fromkeys(_SETS[word])
        elif word in FEATURES:
            names[word] = None
        else:
            near = difflib.get_close_matches(word.lower(), [*FEATURES, *_SETS], n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else "'all' lists them."
            raise ValueError(f"'{word[:40]}' is no feature; {hint}")
    return tuple(names)


def describe_markdown() -> str:
    """Return a table of all features with formula, unit and source, for the documentation."""
    lines = ["| feature | formula | unit | source |", "|---|---|---|---|"]
    for feature in FEATURES.values():
        cells = (f"`{feature.name}`", feature.formula, feature.unit, feature.source)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


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
    *(
        Feature(
            f"return_{n}",
            f"close / close {n} bars ago − 1",
            "fraction",
            "simple rate of return",
            n,
            lambda bars, n=n: rate_of_return(bars, n),  # type: ignore[misc]
        )
        for n in (1, 5, 15, 60)
    ),
    *(
        Feature(
            f"sma_{n}",
            f"mean of the last {n} closes",
            "quote currency",
            _MURPHY,
            n - 1,
            lambda bars, n=n: rolling_mean(bars.close, n, bars.age),  # type: ignore[misc]
        )
        for n in (15, 60)
    ),
    Feature(
        "ema_15",
        "e = e before + 2/16 (close − e before), begun with the mean of the run's first 15 closes",
        "quote currency",
        _MURPHY,
        WARM_UP_BARS,
        lambda bars: exponential_mean(bars, 15),
    ),
    Feature(
        "volatility_60",
        "sample standard deviation of the last 60 one-bar log returns",
        _PER_BAR,
        _HULL,
        60,
        lambda bars: rolling_deviation(bars.log_return, 60, bars.age),
    ),
    Feature(
        "rsi_14",
        "100 G / (G + L), Wilder's means (α = 1/14) of gains and losses, begun with the run's first 14; "
        "50 where nothing moved (G + L ≤ 10⁻¹³ close)",
        "0 to 100",
        _WILDER,
        WARM_UP_BARS,
        lambda bars: rsi(bars, 14),
    ),
    Feature("price_range", "high − low", "quote currency", _MURPHY, 0, lambda bars: bars.high - bars.low),
    Feature("hour", "hour of the day", "0 to 23", _CLOCK, 0, hour),
    Feature(
        "day_of_week",
        "day of the week",
        "0 (Monday) to 6",
        _CLOCK,
        0,
        day_of_week,
    ),
)

_FURTHER = (
    Feature("log_return_1", "ln(close / close before)", "natural log", _ANDERSEN, 1, lambda bars: bars.log_return),
    *(
        Feature(
            f"realised_volatility_{n}",
            f"√ of the sum of the last {n} squared one-bar log returns",
            f"fraction over {n} bars",
            _ANDERSEN,
            n,
            lambda bars, n=n: realised(bars, n),  # type: ignore[misc]
        )
        for n in (5, 15, 60, 360, 1440, 4320)
    ),
    Feature(
        "downside_volatility_60",
        "√ of the sum of the squared negative ones of the last 60 log returns",
        "fraction over 60 bars",
        _SEMI,
        60,
        lambda bars: realised(bars, 60, lambda returns: np.minimum(returns, 0.0)),
    ),
    Feature(
        "upside_volatility_60",
        "√ of the sum of the squared positive ones of the last 60 log returns",
        "fraction over 60 bars",
        _SEMI,
        60,
        lambda bars: realised(bars, 60, lambda returns: np.maximum(returns, 0.0)),
    ),
    Feature(
        "jump_share_60",
        "max(0, 1 − BV / RV) over 60 log returns, BV = π/2 · 60/59 · sum of abs(r · r before); null if nothing moved",
        "0 to 1",
        _JUMPS,
        60,
        lambda bars: jump_share(bars, 60),
    ),
    Feature(
        "parkinson_60",
        "√ of the mean of ln(high / low)² / (4 ln 2) over 60 bars",
        _PER_BAR,
        "Parkinson, The Extreme Value Method for Estimating the Variance of the Rate of Return (1980)",
        59,
        lambda bars: parkinson(bars, 60),
    ),
    *(
        Feature(
            f"garman_klass_{n}",
            f"√ of the mean of ½ ln(high / low)² − (2 ln 2 − 1) ln(close / open)² over the last {n} bars",
            _PER_BAR,
            "Garman and Klass, On the Estimation of Security Price Volatilities from Historical Data (1980)",
            n - 1,
            lambda bars, n=n: garman_klass(bars, n),  # type: ignore[misc]
        )
        for n in (1, 5, 15, 60, 360, 1440)
    ),
    *(
        Feature(
            f"bipower_volatility_{n}",
            f"√ of π/2 · sum of abs(r · r before) over the last {n} bars: without the jumps",
            f"fraction over {n} bars",
            "Barndorff-Nielsen and Shephard, Power and Bipower Variation with Stochastic Volatility and Jumps (2004)",
            n + 1,
            lambda bars, n=n: bipower(bars, n),  # type: ignore[misc]
        )
        for n in (15, 60, 360)
    ),
    *(
        Feature(
            f"range_volatility_{n}",
            f"ln(highest high / lowest low) / √(4 ln 2) over the last {n} bars",
            f"fraction over {n} bars",
            "Parkinson, The Extreme Value Method for Estimating the Variance of the Rate of Return (1980)",
            n - 1,
            lambda bars, n=n: range_volatility(bars, n),  # type: ignore[misc]
        )
        for n in (15, 60, 360, 1440)
    ),
    *(
        Feature(
            f"standardised_return_{n}",
            f"sum of the last {n} log returns / realised volatility over them; null where nothing moved",
            "realised volatilities",
            "Lo and MacKinlay, Stock Market Prices Do Not Follow Random Walks (1988)",
            n,
            lambda bars, n=n: standardised_return(bars, n),  # type: ignore[misc]
        )
        for n in (5, 15, 30, 60, 180, 360, 720, 1440)
    ),
    *(
        Feature(
            f"downside_share_{n}",
            f"sum of the squared negative ones / sum of all squares of the last {n} log returns; "
            "null where nothing moved",
            "0 to 1",
            _SEMI,
            n,
            lambda bars, n=n: downside_share(bars, n),  # type: ignore[misc]
        )
        for n in (15, 60, 360)
    ),
    *(
        Feature(
            f"mean_quote_volume_{n}",
            f"mean of the last {n} quote volumes",
            "quote currency a bar",
            _TAKER,
            n - 1,
            lambda bars, n=n: window_mean(bars, bars.quote_volume, n),  # type: ignore[misc]
        )
        for n in (1, 5, 15, 60, 360, 1440)
    ),
    *(
        Feature(
            f"mean_trades_{n}",
            f"mean of the last {n} counts of trades",
            "trades a bar",
            _TAKER,
            n - 1,
            lambda bars, n=n: window_mean(bars, bars.trades, n),  # type: ignore[misc]
        )
        for n in (5, 15, 60, 1440)
    ),
    Feature(
        "rogers_satchell_60",
        "√ of the mean of ln(high/close) ln(high/open) + ln(low/close) ln(low/open) over 60 bars",
        _PER_BAR,
        "Rogers and Satchell, Estimating Variance from High, Low and Closing Prices (1991)",
        59,
        lambda bars: rogers_satchell(bars, 60),
    ),
    Feature(
        "bollinger_upper_20",
        "mean of 20 closes + 2 population standard deviations of them",
        "quote currency",
        _BOLLINGER,
        19,
        lambda bars: bollinger(bars, 2.0),
    ),
    Feature(
        "bollinger_lower_20",
        "mean of 20 closes − 2 population standard deviations of them",
        "quote currency",
        _BOLLINGER,
        19,
        lambda bars: bollinger(bars, -2.0),
    ),
    Feature(
        "bollinger_percent_b_20",
        "(close − lower band) / (upper band − lower band); null where nothing moved",
        "0 at the lower band, 1 at the upper",
        _BOLLINGER,
        19,
        percent_b,
    ),
    Feature(
        "atr_14",
        "Wilder's mean (α = 1/14) of the true range, max(high, close before) − min(low, close before), "
        "begun with the mean of the run's first 14",
        "quote currency",
        _WILDER,
        WARM_UP_BARS,
        lambda bars: smoothed(bars.true_range, 1.0 / 14.0, 14, bars.age, before=1),
    ),
    Feature(
        "macd_12_26",
        "exponential mean of closes over 12 bars (α = 2/13) − that over 26 (α = 2/27), each begun as ema_15 is",
        "quote currency",
        _APPEL,
        WARM_UP_BARS,
        macd,
    ),
    Feature(
        "macd_signal_9",
        "exponential mean of macd_12_26 over 9 bars (α = 2/10), begun with the mean of its first 9",
        "quote currency",
        _APPEL,
        WARM_UP_BARS,
        macd_signal,
    ),
    Feature(
        "macd_histogram",
        "macd_12_26 − macd_signal_9",
        "quote currency",
        _APPEL,
        WARM_UP_BARS,
        lambda bars: macd(bars) - macd_signal(bars),
    ),
    Feature(
        "stochastic_k_14",
        "100 (close − lowest low) / (highest high − lowest low) over 14 bars; null where nothing moved",
        "0 to 100",
        "Lane, Lane's Stochastics (1984)",
        13,
        lambda bars: stochastic(bars, 14),
    ),
    Feature(
        "vwap_60",
        "sum of quote volume / sum of volume over 60 bars; null without trades",
        "quote currency",
        _BERKOWITZ,
        59,
        lambda bars: vwap(bars, 60),
    ),
    Feature(
        "vwap_distance_60",
        "close / vwap_60 − 1; null where vwap_60 is null or 0",
        "fraction",
        _BERKOWITZ,
        59,
        lambda bars: vwap_distance(bars, 60),
    ),
    Feature(
        "taker_share_1",
        "taker base volume / volume; null without trades",
        "0 to 1",
        _TAKER,
        0,
        lambda bars: quotient(bars.taker_base_volume, bars.volume),
    ),
    Feature(
        "taker_share_60",
        "sum of taker base volume / sum of volume over 60 bars; null without trades",
        "0 to 1",
        _TAKER,
        59,
        lambda bars: share_of_sums(bars, bars.taker_base_volume, 60),
    ),
    Feature(
        "volume_ratio_60",
        "volume / mean of the last 60 volumes; null without trades",
        "multiple",
        _MURPHY,
        59,
        lambda bars: against_mean(bars, bars.volume, 60),
    ),
    Feature(
        "trades_ratio_60",
        "trades / mean of the last 60 counts of trades; null without trades",
        "multiple",
        _TAKER,
        59,
        lambda bars: against_mean(bars, bars.trades, 60),
    ),
    Feature(
        "time_of_day_sin", "sin(2π · share of the day)", "−1 to 1", _CLOCK, 0, lambda bars: time_of_day(bars, np.sin)
    ),
    Feature(
        "time_of_day_cos", "cos(2π · share of the day)", "−1 to 1", _CLOCK, 0, lambda bars: time_of_day(bars, np.cos)
    ),
)

FEATURES: Mapping[str, Feature] = {feature.name: feature for feature in (*_DEFAULT, *_FURTHER)}
DEFAULT_FEATURES = tuple(feature.name for feature in _DEFAULT)
ALL_FEATURES = tuple(FEATURES)

_SETS: Mapping[str, tuple[str, ...]] = {"default": DEFAULT_FEATURES, "all": ALL_FEATURES, "none": ()}
