"""Generates realistic minutes: the seed decides them, any day can be made alone, and midnights are continuous.

`simulator.walk` draws the random walk, and this module makes rows of it. The extremes within a minute have the
distribution of a Brownian bridge's maximum: for U uniform, (o + c + sqrt((c - o)² - 2 σ² ln U)) / 2.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np
import pyarrow as pa

from shared.instant import to_milliseconds
from simulator.kline import DAY_MS, EMPTY, MINUTE_MS, MINUTES_A_DAY, SCHEMA, UNITS, Day, Integers, to_text
from simulator.profile import Profile, compute_symbol_number, find_profile
from simulator.walk import DAILY_VOLATILITY, Anchors, Floats, Walk, draw_anchors, draw_walk

FIRST_DAY = to_milliseconds(datetime(2017, 8, 17, tzinfo=UTC)) // DAY_MS
DAYS = range(FIRST_DAY, to_milliseconds(datetime(2070, 1, 1, tzinfo=UTC)) // DAY_MS)
DAYS_KEPT = 64  # in a cache; about 400 kB each once encoded


class Generator:
    """A source of generated minutes for any symbols."""

    days = DAYS

    def __init__(self, symbols: tuple[str, ...] = ("BTCUSDT",), seed: int = 7) -> None:
        self.symbols = symbols
        self._seed = seed
        self._anchors = lru_cache(maxsize=None)(self._draw_anchors)
        self._day = lru_cache(maxsize=DAYS_KEPT)(self._draw_day)

    def day(self, symbol: str, number: int) -> Day:
        """Return a day of the symbol; it depends only on the seed, the symbol and the day's number."""
        return self._day(symbol, number) if number in DAYS else Day(EMPTY)

    def _draw_anchors(self, symbol: str) -> Anchors:
        random = np.random.default_rng([self._seed, compute_symbol_number(symbol)])
        return draw_anchors(random, len(DAYS) + 1, find_profile(symbol).price)

    def _draw_day(self, symbol: str, number: int) -> Day:
        profile = find_profile(symbol)
        random = np.random.default_rng([self._seed, compute_symbol_number(symbol), number])
        weekday = (number + 3) % 7  # day 0 was a Thursday
        walk = draw_walk(self._anchors(symbol), number - FIRST_DAY, weekday, random)
        prices = _draw_prices(walk, 10**profile.price_places, random)
        return _assemble(number, prices, _draw_sizes(walk, profile, random), profile, random)


@dataclass(frozen=True)
class _Prices:
    """Prices in price steps, one a minute."""

    open: Integers
    high: Integers
    low: Integers
    close: Integers


@dataclass(frozen=True)
class _Sizes:
    """Volume and taker volume in lots, and the number of trades, one a minute."""

    volume: Integers
    taker: Integers
    trades: Integers


def _draw_prices(walk: Walk, ticks: int, random: np.random.Generator) -> _Prices:
    """Draw prices in whole price steps; a minute opens at the last close, or up to two steps from it."""
    close = _to_ticks(walk.path, ticks)
    off = random.integers(-2, 3, MINUTES_A_DAY) * (random.random(MINUTES_A_DAY) < 0.3)
    off[0] = 0
    opened = np.maximum(close[:-1] + off, 1)
    before, after = walk.path[:-1], walk.path[1:]
    reach = -2 * walk.volatility**2 * np.log(random.random((2, MINUTES_A_DAY)))
    swing = np.sqrt((after - before) ** 2 + reach)
    high = np.maximum.reduce([_to_ticks((before + after + swing[0]) / 2, ticks), opened, close[1:]])
    low = np.minimum.reduce([_to_ticks((before + after - swing[1]) / 2, ticks), opened, close[1:]])
    return _Prices(opened, high, low, close[1:])


def _to_ticks(log_price: Floats, ticks: int) -> Integers:
    prices: Integers = np.maximum(np.rint(np.exp(log_price) * ticks), 1).astype(np.int64)
    return prices


def _draw_sizes(walk: Walk, profile: Profile, random: np.random.Generator) -> _Sizes:
    """Draw sizes: volume grows with volatility and the size of the move, and takers buy more when the price rises."""
    activity = np.log(walk.volatility * np.sqrt(MINUTES_A_DAY) / DAILY_VOLATILITY)
    activity += 0.35 * (np.abs(walk.shocks) - 0.7)
    lots = 10**profile.volume_places
    noise = random.standard_normal((3, MINUTES_A_DAY))
    volume = np.maximum(np.rint(profile.volume_a_minute * lots * np.exp(activity + 0.5 * noise[0])), 1)
    trades = np.maximum(np.rint(700 * np.exp(0.75 * activity + 0.2 * noise[1])), 1)
    share = np.clip(0.5 + 0.14 * np.tanh(walk.shocks) + 0.09 * noise[2], 0.03, 0.97)
    trades = np.minimum(trades, volume)  # a trade is at least one lot
    return _Sizes(volume.astype(np.int64), np.rint(volume * share).astype(np.int64), trades.astype(np.int64))


def _assemble(number: int, prices: _Prices, sizes: _Sizes, profile: Profile, random: np.random.Generator) -> Day:
    tick, lot = UNITS // 10**profile.price_places, UNITS // 10**profile.volume_places
    average = prices.low + (prices.high - prices.low) * random.beta(4, 4, MINUTES_A_DAY)
    places = 10 ** (8 - profile.price_places - profile.volume_places)
    # A sum of price times size has the decimal places of both, and lies between low and high times the volume.
    quote = np.rint(average * sizes.volume).astype(np.int64)
    quote = np.clip(quote, prices.low * sizes.volume, prices.high * sizes.volume)
    taker_quote = np.rint(quote * (sizes.taker / sizes.volume)).astype(np.int64)
    open_times = number * DAY_MS + np.arange(MINUTES_A_DAY, dtype=np.int64) * MINUTE_MS
    columns = {
        "open_time": pa.array(open_times),
        "open": to_text(prices.open * tick),
        "high": to_text(prices.high * tick),
        "low": to_text(prices.low * tick),
        "close": to_text(prices.close * tick),
        "volume": to_text(sizes.volume * lot),
        "close_time": pa.array(open_times + MINUTE_MS - 1),
        "quote_volume": to_text(quote * places),
        "trades": pa.array(sizes.trades),
        "taker_base": to_text(sizes.taker * lot),
        "taker_quote": to_text(taker_quote * places),
    }
    return Day(pa.record_batch(columns, schema=SCHEMA))
