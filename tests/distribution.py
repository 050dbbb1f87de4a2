"""Which tests run where when there are several processes: one by one, but together what shares something dear.

The marker `xdist_group` is for that too, but pytest-xdist 3.8 does not see it with pytest 9.2 (its issue 1386).
"""

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped] # it ships none

# Files and folders whose tests share a server or a stack that takes seconds to start.
_TOGETHER = (
    "tests/stack/",
    "tests/kubernetes/",
    "tests/end_to_end/test_predictor_life.py",
    "tests/integration/test_predictor_mlflow.py",
    "tests/integration/test_predictor_mlflow_minio.py",
)
_SHORT = {"integration", "unit"}


class OneByOne(LoadScopeScheduling):  # type: ignore[misc] # for the same reason
    """Hands out single tests in their order, after the largest groups of those that stay together."""

    def _split_scope(self, nodeid: str) -> str:
        """Return what the test belongs to: a group, or itself."""
        return next((group for group in _TOGETHER if nodeid.startswith(group)), nodeid)


def is_short(item: pytest.Item) -> bool:
    """Whether a test is to come after the longer ones, so that all processes are busy until the end."""
    return item.path.parent.name in _SHORT
