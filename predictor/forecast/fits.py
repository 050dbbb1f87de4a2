"""A log-linear variance, fitted in two ways: by least squares of its logarithm, and by QLIKE of the variance itself.

scikit-learn's GammaRegressor minimises the same loss as the QLIKE fit, and cannot stand in for it: it refuses a
target of 0, which a minute without a trade has.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import Ridge

from shared.rolling import Floats

# Without it, a column that is constant in a short history would get an arbitrary coefficient.
_RIDGE = 1e-3
# Coefficients are drawn towards their prior as if so many rows had shown it: a short history says little of each.
_PRIOR_ROWS = 10_000.0
_NEWTON_STEPS = 8
_LARGEST_EXPONENT = 30.0
_LARGEST_WEIGHT = 50.0


def fit_log_linear(design: Floats, wanted: Floats, plain: Sequence[int], longer: Floats | None) -> Floats:
    """Coefficients of ln of the relative variance: the mean of a least-squares and a QLIKE fit.

    Both are drawn towards the `plain` columns' own fit. The coefficients of a `longer` horizon stand in for it and for
    least squares where they are given: single minutes can be 0, of which there is no logarithm.
    """
    level = wanted.mean()
    relative = wanted / level
    if longer is None:
        prior = np.zeros(design.shape[1])
        few = design[:, plain]
        prior[plain] = fit_least_squares(few, relative, np.zeros(len(plain)))
        start = fit_least_squares(design, relative, prior)
    else:
        prior = start = longer.copy()
    # From the mean of logarithms to the logarithm of the mean.
    start[0] += np.log(np.mean(relative / np.exp(design @ start)))
    prior[0] = start[0]
    coefficients = (start + fit_qlike(design, relative, prior)) / 2.0
    coefficients[0] += np.log(level)
    return np.asarray(coefficients)


def fit_least_squares(design: Floats, target: Floats, prior: Floats) -> Floats:
    """Return b that minimises the mean of (ln y - Xb)² and of the penalty for what is not the prior.

    The first column of X is the constant, and free.
    """
    ridge = Ridge(alpha=_penalty_of(design) * len(design), solver="cholesky")
    # The prior is an offset of the target, so that the penalty draws what is left towards nothing.
    ridge.fit(design[:, 1:], np.log(target) - design @ prior)
    return np.asarray(prior + np.concatenate([[ridge.intercept_], ridge.coef_]))


def fit_qlike(design: Floats, target: Floats, prior: Floats) -> Floats:
    """Return b that minimises the mean of y / s² + ln s² with s² = exp(Xb), the QLIKE loss, and of the same penalty.

    The loss is convex in b. Newton's steps begin at the prior, and each is halved until it gains, so that a flat start
    cannot make it diverge.
    """
    penalty = _penalty(design)
    b = prior
    loss = _qlike(design, target, b, prior, penalty)
    for _ in range(_NEWTON_STEPS):
        weight = target * np.exp(-np.clip(design @ b, -_LARGEST_EXPONENT, _LARGEST_EXPONENT))
        gradient = design.T @ (1.0 - weight) / len(design) + penalty * (b - prior)
        curve = np.clip(weight, 1e-3, _LARGEST_WEIGHT)
        hessian = (design * curve[:, np.newaxis]).T @ design / len(design) + np.diag(penalty + 1e-9)
        step = np.linalg.solve(hessian, gradient)
        scale = 1.0
        moved = _qlike(design, target, b - step, prior, penalty)
        while moved > loss and scale > 1e-3:
            scale /= 2.0
            moved = _qlike(design, target, b - scale * step, prior, penalty)
        if loss - moved < 1e-6:
            break
        b, loss = b - scale * step, moved
    return b


def _qlike(design: Floats, target: Floats, b: Floats, prior: Floats, penalty: Floats) -> float:
    exponent = np.clip(design @ b, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)
    return float(np.mean(target * np.exp(-exponent) + exponent) + 0.5 * np.sum(penalty * (b - prior) ** 2))


def _penalty(design: Floats) -> Floats:
    penalty = np.full(design.shape[1], _penalty_of(design))
    penalty[0] = 0.0
    return penalty


def _penalty_of(design: Floats) -> float:
    return _RIDGE + _PRIOR_ROWS / len(design)
