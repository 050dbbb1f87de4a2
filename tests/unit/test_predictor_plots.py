"""The pictures of an evaluation, and the numbers in them."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import norm

from predictor.forecast.evaluation import Evaluation, Outcomes
from predictor.forecast.plots import QUANTILES, bin_volatility, compute_shares_below, draw_errors, draw_reliability
from shared.levels import LEVELS


def outcomes(count: int, stated_over_real: float = 1.0) -> Outcomes:
    """Forecasts from calm to wild whose deviation is the real one's multiple."""
    chance = np.random.default_rng(0)
    real = np.exp(chance.normal(-7.0, 0.7, count))
    stated = real * stated_over_real
    base = np.full(count, 30_000.0)
    reach = np.array([norm.ppf(0.5 + level / 200) * stated for level in LEVELS]).reshape(len(LEVELS), count)
    actual = base * np.exp(chance.normal(0.0, 1.0, count) * real)
    return Outcomes(
        made_at_ms=np.arange(count, dtype=np.int64) * 60_000,
        base_price=base,
        point=base,
        lower=base * np.exp(-reach),
        upper=base * np.exp(reach),
        volatility=stated,
        actual_price=actual,
        realised_variance=real**2,
    )


def evaluation(*counts: int) -> Evaluation:
    """Outcomes of so many forecasts at each horizon."""
    return Evaluation((), {5 * index + 1: outcomes(count) for index, count in enumerate(counts)})


def test_shares_below_true_quantiles_are_as_stated() -> None:
    """Quantiles of the very distribution that prices are drawn from."""
    assert compute_shares_below(outcomes(100_000)) == pytest.approx(QUANTILES, abs=0.01)


def test_shares_below_quantiles_too_narrow_lean_to_the_middle() -> None:
    """Half the deviation covers 49 of nominal 80 %."""
    shares = compute_shares_below(outcomes(100_000, stated_over_real=0.5))
    assert shares[QUANTILES.index(0.1)] == pytest.approx(norm.cdf(norm.ppf(0.1) / 2), abs=0.01)
    assert shares[QUANTILES.index(0.9)] == pytest.approx(norm.cdf(norm.ppf(0.9) / 2), abs=0.01)


def test_price_that_does_not_move_counts_half_below_the_point() -> None:
    """Many single minutes end where they began."""
    still = outcomes(100)
    still = Outcomes(**(still.__dict__ | {"actual_price": still.base_price}))
    assert compute_shares_below(still)[QUANTILES.index(0.5)] == 0.5


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_errors_grow_with_the_forecast_volatility(factor: float) -> None:
    """In each bin the root mean square is what was stated, less the factor it was stated too large by."""
    stated, observed = bin_volatility(outcomes(200_000, stated_over_real=factor))
    assert observed == pytest.approx(stated / factor, rel=0.06)
    assert (np.diff(stated) > 0).all()


@pytest.mark.parametrize("counts", [(), (0,), (1,), (3, 0), (500, 400, 300, 200, 100, 50)])
@pytest.mark.parametrize("plot", [draw_reliability, draw_errors])
def test_plot_of_any_evaluation_is_a_picture(counts: tuple[int, ...], plot: object) -> None:
    """A short record has few forecasts to show, or none."""
    assert callable(plot)
    figure = plot(evaluation(*counts))
    assert isinstance(figure, Figure)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    assert picture.getvalue().startswith(b"\x89PNG")
    labels = [line.get_label() for line in figure.axes[0].get_lines()]
    assert sum(str(label).endswith("min") for label in labels) == sum(count > 0 for count in counts)
