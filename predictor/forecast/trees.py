"""The boosted trees on what a linear forecast leaves of the variance."""

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingRegressor

from shared.rolling import Floats, Integers

# Trees learn from rows that lie weeks apart; below this they would learn the weeks by heart.
ROWS_MIN = 15_000
_LARGEST_RATIO = 12.0
_SMALLEST_RATIO = 1e-4


def fit_trees(design: Floats, week: Integers, log_linear: Floats, wanted: Floats) -> HistGradientBoostingRegressor:
    """Learn by how much the variance that came, `wanted`, differs from the linear forecast."""
    ratio = np.clip(wanted / np.exp(log_linear), _SMALLEST_RATIO, _LARGEST_RATIO)
    trees = HistGradientBoostingRegressor(
        loss="gamma",
        max_iter=90,
        learning_rate=0.05,
        max_bins=63,
        max_leaf_nodes=15,
        min_samples_leaf=250,
        l2_regularization=5.0,
        max_features=0.3,
        early_stopping=False,
        random_state=0,
    )
    return trees.fit(_make_inputs(design, week, log_linear), ratio)


def predict_log_ratio(
    trees: HistGradientBoostingRegressor, design: Floats, week: Integers, log_linear: Floats
) -> Floats:
    """Return what to add to the logarithm of the linear forecast."""
    return np.asarray(np.log(trees.predict(_make_inputs(design, week, log_linear))))


def _make_inputs(design: Floats, week: Integers, log_linear: Floats) -> npt.NDArray[np.float32]:
    """The design without its constant, the minute of the day, whether it is a weekend, and the linear forecast."""
    return np.column_stack([design[:, 1:], week % 1440, week >= 5 * 1440, log_linear]).astype(np.float32)
