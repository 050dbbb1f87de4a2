"""Models and trainings for tests, from minutes that are made up."""

import numpy as np

from shared.bars import Bars
from shared.instant import MINUTE_MS

START_MS = 1_672_531_200_000
"""2023-01-01 00:00 UTC."""


def walk(days: float, seed: int = 1) -> Bars:
    """Minutes of a random walk whose volatility has a daily season."""
    count = int(days * 1440)
    chance = np.random.default_rng(seed)
    minute = np.arange(count)
    deviation = 5e-4 * np.exp(0.5 * np.sin(2 * np.pi * minute / 1440))
    close = np.round(30_000 * np.exp(np.cumsum(chance.normal(0, deviation))), 2)
    opened = np.concatenate([[30_000.0], close[:-1]])
    reach = 1 + np.abs(chance.normal(0, deviation / 2))
    volume = chance.gamma(2.0, 5.0, count) * deviation / 5e-4
    return Bars(
        START_MS + minute * MINUTE_MS,
        MINUTE_MS,
        opened,
        np.maximum(opened, close) * reach,
        np.minimum(opened, close) / reach,
        close,
        volume,
        volume * close,
        np.ceil(volume * 10),
        volume / 2,
    )
