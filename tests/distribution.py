"""Which tests run where when there are several processes: one by one, but together what shares something dear.

The marker `xdist_group` is for that too, but pytest-xdist 3.8 does not see it with pytest 9.2 (its issue 1386).
"""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped] # it ships none

# What begins when: first what takes minutes, most of them waiting, and last what is over in a moment, so that all
# processes are busy until the end.
_ORDER = (
    "tests/stack/test_compose.py",
    "tests/kubernetes/test_cluster.py",
    "tests/stack/test_images.py",
    "tests/end_to_end/test_predictor_life.py",
    "tests/end_to_end/",
    "tests/integration/test_predictor_mlflow.py",
    "tests/integration/test_predictor_mlflow_minio.py",
    "tests/kubernetes/test_manifests.py",
    "tests/integration/",
    "tests/unit/",
)
# Files whose tests share a server or a stack that takes seconds to start.
_TOGETHER = tuple(each for each in _ORDER if each.endswith(".py"))


class OneByOne(LoadScopeScheduling):  # type: ignore[misc] # for the same reason
    """Hands out single tests, and whole files where tests stay together, in their order."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        # By their number, a file of short tests would begin before one of long ones.
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        """Return what the test belongs to: a file, or itself."""
        return next((file for file in _TOGETHER if nodeid.startswith(file)), nodeid)


def rank(item: pytest.Item) -> int:
    """Return the place of a test in the order."""
    return next((place for place, start in enumerate(_ORDER) if item.nodeid.startswith(start)), 0)
