"""Which symbols `python -m predictor train` trains."""

import pytest

from predictor.commands.train import choose_symbols
from shared.errors import UsageError

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


@pytest.mark.parametrize(("index", "chosen"), [(None, SYMBOLS), (0, ("BTCUSDT",)), (2, ("SOLUSDT",))])
def test_index_chooses_one_symbol_in_the_order_of_the_setting(index: int | None, chosen: tuple[str, ...]) -> None:
    """Every pod of an indexed Job has one, and all of them together have all."""
    assert choose_symbols(SYMBOLS, index) == chosen


@pytest.mark.parametrize("index", [-1, 3])
def test_index_without_a_symbol_is_refused(index: int) -> None:
    """A Job with more completions than there are symbols says so, rather than ending well without a training."""
    with pytest.raises(UsageError, match="names 3: it must be from 0 to 2"):
        choose_symbols(SYMBOLS, index)
