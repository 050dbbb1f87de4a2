"""The random walk behind the generator: anchors at each midnight, and the way from one to the next.

A mean-reverting daily walk gives the logarithm of the price at each midnight, and an autoregression the day's
volatility; both are drawn once for all days, which takes milliseconds. A day is then a walk of 1,440 fat-tailed steps,
bent so that it ends at the next anchor (a bridge), whose volatility follows a second, hourly autoregression, the hour
of the day and the day of the week.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.kline import MINUTES_A_DAY

DAILY_VOLATILITY = 0.028  # of the log return, in the middle

_REVERSION_DAYS = 200.0
_VOLATILITY_MEMORY_DAYS = 20.0
_VOLATILITY_SPREAD_DAILY = 0.35
_VOLATILITY_MEMORY_MINUTES = 60.0
_VOLATILITY_SPREAD_MINUTES = 0.45
_TAIL_DEGREES = 5.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Anchors:
    """At each midnight: log price, volatility of the day as a log return, and the state of the hourly volatility."""

    price: Floats
    volatility: Floats
    mood: Floats


@dataclass(frozen=True)
class Walk:
    """A day: 1,441 log prices from midnight to midnight, and by minute the volatility and the shock scaled by it."""

    path: Floats
    volatility: Floats
    shocks: Floats


def draw_anchors(random: np.random.Generator, count: int, price: float) -> Anchors:
    """Anchors of `count` midnights around a usual price."""
    noise = random.standard_normal(count)
    volatility = DAILY_VOLATILITY * np.exp(_autoregression(noise, _VOLATILITY_MEMORY_DAYS, _VOLATILITY_SPREAD_DAILY))
    keep = float(np.exp(-1 / _REVERSION_DAYS))
    level = np.zeros(count)
    for day, step in enumerate((volatility * random.standard_normal(count))[:-1]):
        level[day + 1] = keep * level[day] + step
    return Anchors(np.log(price) + level, volatility, random.standard_normal(count))


def draw_walk(anchors: Anchors, index: int, weekday: int, random: np.random.Generator) -> Walk:
    """The day between two anchors; Monday is 0."""
    volatility = _minute_volatility(anchors, index, weekday, random)
    start, end = anchors.price[index], anchors.price[index + 1]
    # Student's t has more variance than 1; shocks have 1.
    shocks = random.standard_t(_TAIL_DEGREES, MINUTES_A_DAY) * np.sqrt((_TAIL_DEGREES - 2) / _TAIL_DEGREES)
    path = start + np.cumsum(volatility * shocks)
    variance = np.cumsum(volatility**2)
    path += (end - path[-1]) * variance / variance[-1]
    return Walk(np.concatenate(([start], path)), volatility, shocks)


def _minute_volatility(anchors: Anchors, index: int, weekday: int, random: np.random.Generator) -> Floats:
    """The standard deviation of each minute's log return."""
    passed = np.arange(MINUTES_A_DAY) / MINUTES_A_DAY
    daily = np.log(anchors.volatility[index]) * (1 - passed) + np.log(anchors.volatility[index + 1]) * passed
    mood = _bridged_autoregression(anchors.mood[index], anchors.mood[index + 1], random)
    usual: Floats = np.exp(daily + mood + _season(weekday) - _VOLATILITY_SPREAD_MINUTES**2) / np.sqrt(MINUTES_A_DAY)
    return usual


def _season(weekday: int) -> Floats:
    """The log of the usual activity by minute: quiet before dawn, busy when New York opens, calmer at weekends."""
    hour = np.arange(MINUTES_A_DAY) / 60
    day = 0.28 * np.exp(-(((hour - 14.5) / 2.2) ** 2)) + 0.12 * np.cos((hour - 15) / 24 * 2 * np.pi)
    opening = 0.25 * np.exp(-(hour % 1) * 30)
    weekend = -0.3 if weekday >= 5 else 0.0
    season: Floats = day + opening + weekend
    return season


def _bridged_autoregression(start: float, end: float, random: np.random.Generator) -> Floats:
    """A day of the hourly volatility's state, scaled, from one midnight's value to the next one's."""
    path = np.concatenate(([start], random.standard_normal(MINUTES_A_DAY)))
    keep = np.exp(-1 / _VOLATILITY_MEMORY_MINUTES)
    path[1:] *= np.sqrt(1 - keep**2)
    # x[t] = keep x[t-1] + e[t], solved for all t at once; keep**-1440 is 2.6e10 and harms no digit that counts.
    powers = keep ** np.arange(MINUTES_A_DAY + 1)
    path = powers * np.cumsum(path / powers)
    path += (end - path[-1]) * powers[::-1]
    mood: Floats = _VOLATILITY_SPREAD_MINUTES * path[:-1]
    return mood


def _autoregression(noise: Floats, memory: float, spread: float) -> Floats:
    """A stationary first-order autoregression of standard deviation `spread`, made of standard normal noise."""
    keep = float(np.exp(-1 / memory))
    state = np.empty_like(noise)
    state[0] = noise[0]
    for at in range(1, len(noise)):
        state[at] = keep * state[at - 1] + np.sqrt(1 - keep**2) * noise[at]
    return spread * state
