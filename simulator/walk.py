"""Draws the generator's random walk: an anchor at each midnight, and the minutes from one anchor to the next.

A mean-reverting daily walk gives the log price at each midnight, and an autoregression the volatility of each day; both
are drawn at once for all days, which takes milliseconds. A day is a walk of 1,440 fat-tailed steps, shifted so that it
ends at the next anchor (a bridge). Its volatility follows a second autoregression, with a memory of an hour, and the
hour of the day and the day of the week.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.kline import MINUTES_A_DAY

DAILY_VOLATILITY = 0.028  # the typical standard deviation of a day's log return

_REVERSION_DAYS = 200.0
_VOLATILITY_MEMORY_DAYS = 20.0
_VOLATILITY_SPREAD_DAILY = 0.35
_VOLATILITY_MEMORY_MINUTES = 60.0
_VOLATILITY_SPREAD_MINUTES = 0.45
_TAIL_DEGREES = 5.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Anchors:
    """At each midnight: log price, standard deviation of the day's log return, and state of the hourly volatility."""

    price: Floats
    volatility: Floats
    hourly_state: Floats


@dataclass(frozen=True)
class Walk:
    """A day: `path` has 1,441 log prices from midnight to midnight, `volatility` and `shocks` one value a minute."""

    path: Floats
    volatility: Floats
    shocks: Floats


def draw_anchors(random: np.random.Generator, count: int, price: float) -> Anchors:
    """Draw the anchors of `count` midnights around a usual price."""
    noise = random.standard_normal(count)
    volatility = DAILY_VOLATILITY * np.exp(
        _compute_autoregression(noise, _VOLATILITY_MEMORY_DAYS, _VOLATILITY_SPREAD_DAILY)
    )
    keep = float(np.exp(-1 / _REVERSION_DAYS))
    level = np.zeros(count)
    for day, step in enumerate((volatility * random.standard_normal(count))[:-1]):
        level[day + 1] = keep * level[day] + step
    return Anchors(np.log(price) + level, volatility, random.standard_normal(count))


def draw_walk(anchors: Anchors, index: int, weekday: int, random: np.random.Generator) -> Walk:
    """Draw the day between the anchors `index` and `index + 1`; weekday 0 is Monday."""
    volatility = _draw_minute_volatility(anchors, index, weekday, random)
    start, end = anchors.price[index], anchors.price[index + 1]
    # Student's t has a variance above 1; scale it to 1.
    shocks = random.standard_t(_TAIL_DEGREES, MINUTES_A_DAY) * np.sqrt((_TAIL_DEGREES - 2) / _TAIL_DEGREES)
    path = start + np.cumsum(volatility * shocks)
    variance = np.cumsum(volatility**2)
    path += (end - path[-1]) * variance / variance[-1]
    return Walk(np.concatenate(([start], path)), volatility, shocks)


def _draw_minute_volatility(anchors: Anchors, index: int, weekday: int, random: np.random.Generator) -> Floats:
    """Draw the standard deviation of each minute's log return."""
    passed = np.arange(MINUTES_A_DAY) / MINUTES_A_DAY
    daily = np.log(anchors.volatility[index]) * (1 - passed) + np.log(anchors.volatility[index + 1]) * passed
    mood = _draw_hourly_states(anchors.hourly_state[index], anchors.hourly_state[index + 1], random)
    usual: Floats = np.exp(daily + mood + _compute_season(weekday) - _VOLATILITY_SPREAD_MINUTES**2) / np.sqrt(
        MINUTES_A_DAY
    )
    return usual


def _compute_season(weekday: int) -> Floats:
    """Return the log of the usual activity by minute: low before dawn, high when New York opens, lower at weekends."""
    hour = np.arange(MINUTES_A_DAY) / 60
    day = 0.28 * np.exp(-(((hour - 14.5) / 2.2) ** 2)) + 0.12 * np.cos((hour - 15) / 24 * 2 * np.pi)
    opening = 0.25 * np.exp(-(hour % 1) * 30)
    weekend = -0.3 if weekday >= 5 else 0.0
    season: Floats = day + opening + weekend
    return season


def _draw_hourly_states(start: float, end: float, random: np.random.Generator) -> Floats:
    """Draw the hourly volatility's state, scaled, by minute from one midnight's value to the next one's."""
    path = np.concatenate(([start], random.standard_normal(MINUTES_A_DAY)))
    keep = np.exp(-1 / _VOLATILITY_MEMORY_MINUTES)
    path[1:] *= np.sqrt(1 - keep**2)
    # x[t] = keep x[t-1] + e[t], solved for all t at once; keep**-1440 is 2.6e10, which costs no digit that matters.
    powers = keep ** np.arange(MINUTES_A_DAY + 1)
    path = powers * np.cumsum(path / powers)
    path += (end - path[-1]) * powers[::-1]
    mood: Floats = _VOLATILITY_SPREAD_MINUTES * path[:-1]
    return mood


def _compute_autoregression(noise: Floats, memory: float, spread: float) -> Floats:
    """Return a stationary first-order autoregression with standard deviation `spread`, from standard normal noise."""
    keep = float(np.exp(-1 / memory))
    state = np.empty_like(noise)
    state[0] = noise[0]
    for at in range(1, len(noise)):
        state[at] = keep * state[at - 1] + np.sqrt(1 - keep**2) * noise[at]
    return spread * state
