"""The two linear fits of a variance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.forecast.fits import fit_least_squares, fit_qlike

TRUE = np.array([0.3, 0.8, -0.4])


def made(seed: int, rows: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    """A design, and what a log-linear variance with gamma noise of mean 1 gives for it."""
    chance = np.random.default_rng(seed)
    design = np.column_stack([np.ones(rows), chance.normal(size=(rows, 2))])
    return design, np.exp(design @ TRUE) * chance.gamma(3.0, 1.0 / 3.0, rows)


@given(st.integers(0, 2**20))
def test_qlike_finds_the_coefficients_of_the_mean(seed: int) -> None:
    """Its minimum is at the conditional mean, whatever the noise looks like."""
    design, target = made(seed)
    assert fit_qlike(design, target, TRUE * 0.9) == pytest.approx(TRUE, abs=0.1)


@given(st.integers(0, 2**20))
def test_least_squares_finds_the_slopes_of_the_logarithm(seed: int) -> None:
    """The constant is that of the mean logarithm, which lies lower."""
    design, target = made(seed)
    fitted = fit_least_squares(design, target, np.zeros(design.shape[1]))
    assert fitted[1:] == pytest.approx(TRUE[1:], rel=0.3)
    assert fitted[0] < TRUE[0]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_column_that_is_constant_in_a_short_history_does_no_harm(value: float) -> None:
    """It is drawn towards no effect, instead of any that it likes."""
    design, target = made(1, 4_000)
    design = np.column_stack([design, np.full(len(design), value)])
    for fitted in (
        fit_least_squares(design, target, np.zeros(design.shape[1])),
        fit_qlike(design, target, np.zeros(4)),
    ):
        assert np.isfinite(fitted).all()
        assert abs(fitted[3]) < 1.0


def test_minutes_that_do_not_move_are_no_trouble_to_qlike() -> None:
    """Its loss needs no logarithm of what came."""
    design, target = made(2)
    target[::10] = 0.0
    assert fit_qlike(design, target, np.zeros(3))[1:] == pytest.approx(TRUE[1:], rel=0.3)


def test_short_history_stays_near_the_prior_and_a_long_one_leaves_it() -> None:
    """Each coefficient costs rows to be believed."""
    prior = np.array([0.0, 0.2, 0.2])
    short, long = (fit_qlike(*made(3, rows), prior) for rows in (300, 100_000))
    assert np.abs(short - prior)[1:].max() < 0.1
    assert long[1:] == pytest.approx(TRUE[1:], abs=0.15)
