"""Plots of an evaluation: how often prices fell below each quantile, and how large errors were beside the forecast."""

from collections.abc import Iterable

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from predictor.forecast.evaluation import Evaluation, Outcomes
from shared.levels import LEVELS
from shared.rolling import Floats

# The quantiles that a forecast states, increasing: the bounds of its intervals, with its point in the middle.
QUANTILES = (
    *((100 - level) / 200 for level in reversed(LEVELS)),
    0.5,
    *((100 + level) / 200 for level in LEVELS),
)
_BINS = 12
_BASIS_POINT = 1e4


def draw_reliability(evaluation: Evaluation) -> Figure:
    """How often the price came in below each quantile forecast; on the diagonal, as often as stated."""
    figure, axes = _figure("Reliability", "stated share below", "observed share below")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1, label="as stated")
    for outcomes, label, colour in _by_horizon(evaluation):
        axes.plot(QUANTILES, compute_shares_below(outcomes), marker="o", markersize=4, color=colour, label=label)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.legend(frameon=False)
    return figure


def draw_errors(evaluation: Evaluation) -> Figure:
    """How far the price moved where little and where much was forecast; on the diagonal, as far as stated."""
    figure, axes = _figure("Errors", "forecast volatility, basis points", "root mean squared return, basis points")
    ends: list[float] = []
    for outcomes, label, colour in _by_horizon(evaluation):
        stated, observed = bin_volatility(outcomes)
        stated, observed = stated * _BASIS_POINT, observed * _BASIS_POINT
        axes.plot(stated, observed, marker="o", markersize=4, color=colour, label=label)
        ends += [stated.min(), stated.max()]
    axes.set(xscale="log", yscale="log")
    if ends:
        axes.plot([min(ends), max(ends)], [min(ends), max(ends)], color="0.7", linewidth=1, label="as stated")
        axes.legend(frameon=False)
    return figure


def compute_shares_below(outcomes: Outcomes) -> Floats:
    """Of each of QUANTILES, the share of prices that came in below it; a price that meets it counts half."""
    # The narrowest interval comes first in the arrays.
    quantiles = np.vstack([outcomes.lower[::-1], outcomes.point, outcomes.upper])
    below = outcomes.actual_price < quantiles
    met = outcomes.actual_price == quantiles
    return np.asarray((below + met / 2).mean(axis=1))


def bin_volatility(outcomes: Outcomes) -> tuple[Floats, Floats]:
    """Forecast volatility and the root mean square of what came, in bins of equal size from calm to wild."""
    squared = np.log(outcomes.actual_price / outcomes.base_price) ** 2
    bins = [rows for rows in np.array_split(np.argsort(outcomes.volatility), _BINS) if len(rows)]
    stated = np.array([np.sqrt(np.mean(outcomes.volatility[rows] ** 2)) for rows in bins])
    observed = np.array([np.sqrt(np.mean(squared[rows])) for rows in bins])
    return stated, observed


def _by_horizon(evaluation: Evaluation) -> Iterable[tuple[Outcomes, str, tuple[float, ...]]]:
    horizons = sorted(evaluation.outcomes)
    colours = colormaps["viridis"](np.linspace(0, 0.85, len(horizons)))
    for horizon, colour in zip(horizons, colours, strict=True):
        if len(evaluation.outcomes[horizon].point):
            yield evaluation.outcomes[horizon], f"{horizon} min", tuple(colour)


def _figure(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    # A figure of its own, without pyplot, which would keep every figure in memory and is not for threads.
    figure = Figure(figsize=(6, 5.5), layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x_label, ylabel=y_label)
    axes.grid(color="0.92")
    return figure, axes
