"""The features by name: which there are, how they are asked for, and how each is described."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from shared.bars import Bars
from shared.feature_table import ALL_FEATURES, DEFAULT_FEATURES, FEATURES, WARM_UP_BARS
from shared.features import compute, describe_markdown, parse_names, warm_up_bars
from tests.unit.feature_bars import bars_of, make_rows
from tests.unit.feature_reference import RECURSIVE, WINDOWED

NUMBERS = {"open", "high", "low", "close", "volume", "quote_volume", "trades", "taker_base_volume"}
DEFAULT = (
    "return_1", "return_5", "return_15", "return_60", "sma_15", "sma_60", "ema_15", "volatility_60", "rsi_14",
    "price_range", "hour", "day_of_week",
)  # fmt: skip


def test_default_is_what_the_contract_names() -> None:
    """The contract's features, in its order; the others come after them."""
    assert DEFAULT_FEATURES == DEFAULT
    assert ALL_FEATURES[: len(DEFAULT)] == DEFAULT
    assert tuple(FEATURES) == ALL_FEATURES


def test_every_feature_has_its_independent_reference() -> None:
    """A feature that nothing checks does not get in."""
    assert set(ALL_FEATURES) == {*WINDOWED, *RECURSIVE}
    assert {name for name, feature in FEATURES.items() if feature.reads == WARM_UP_BARS} == set(RECURSIVE)


@pytest.mark.parametrize("name", ALL_FEATURES)
def test_every_feature_says_its_formula_unit_and_source(name: str) -> None:
    """No reader has to guess what a number is."""
    feature = FEATURES[name]
    assert feature.name == name
    assert name.isidentifier()
    assert name == name.lower()
    assert feature.formula.strip()
    assert feature.unit.strip()
    assert feature.source.strip()


def test_the_table_has_a_whole_row_for_every_feature() -> None:
    """Four cells each, whatever signs a formula has."""
    header, ruler, *rows = describe_markdown().splitlines()
    assert header == "| feature | formula | unit | source |"
    assert ruler == "|---|---|---|---|"
    assert [row.split("`")[1] for row in rows] == list(ALL_FEATURES)
    for row, feature in zip(rows, FEATURES.values(), strict=True):
        assert row.replace("\\|", "").count("|") == 5
        assert feature.unit in row
        assert feature.source in row


def test_features_come_in_the_order_asked_for_and_no_others() -> None:
    """Only what is asked for is computed."""
    values = compute(bars_of(make_rows(1, 20)), ["rsi_14", "hour", "atr_14"])
    assert list(values) == ["rsi_14", "hour", "atr_14"]
    assert {len(array) for array in values.values()} == {20}
    assert compute(bars_of(make_rows(1, 20)), []) == {}


def test_what_is_computed_together_is_what_is_computed_alone() -> None:
    """What features share changes none of them."""
    rows = make_rows(5, 100)
    for name, values in compute(bars_of(rows), ALL_FEATURES).items():
        np.testing.assert_array_equal(compute(bars_of(rows), [name])[name], values)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("default", DEFAULT),
        ("none", ()),
        ("all", ALL_FEATURES),
        ("rsi_14", ("rsi_14",)),
        ("sma_60,rsi_14,sma_60", ("sma_60", "rsi_14")),
        (" sma_60 , hour ", ("sma_60", "hour")),
        ("default,atr_14", (*DEFAULT, "atr_14")),
        ("hour,default", ("hour", *(name for name in DEFAULT if name != "hour"))),
        ("none,hour", ("hour",)),
        ("default,all", ALL_FEATURES),
    ],
)
def test_names_are_read(text: str, names: tuple[str, ...]) -> None:
    """Words and names mix, and a feature is computed once however often it is asked for."""
    assert parse_names(text) == names


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sma_16", r"'sma_16' is no feature; did you mean .*sma_15"),
        ("hour,RSI_14", r"'RSI_14' is no feature; did you mean rsi_14"),
        ("bollinger", r"did you mean bollinger_"),
        ("defualt", r"did you mean default"),
        ("zzzzzz", r"'zzzzzz' is no feature; 'all' lists them"),
        ("", r"'' is no feature"),
        ("sma_15,,hour", r"'' is no feature"),
        ("return_5 return_15", r"is no feature; did you mean"),
        ("x" * 5_000, r"'x{40}' is no feature"),
        ("__class__", r"is no feature"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(text: str, sentence: str) -> None:
    """One sentence, of bounded length, that says what to write instead."""
    with pytest.raises(ValueError, match=sentence) as error:
        parse_names(text)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    ("names", "bars"),
    [
        ((), 0),
        (("hour", "price_range", "taker_share_1"), 0),
        (("return_5",), 5),
        (("sma_60",), 59),
        (("volatility_60", "sma_15"), 60),
        (("rsi_14", "hour"), WARM_UP_BARS),
        (DEFAULT, WARM_UP_BARS),
        (ALL_FEATURES, 4_320),
    ],
)
def test_the_warm_up_is_that_of_the_longest_memory(names: tuple[str, ...], bars: int) -> None:
    """No more is read than what is asked for looks back on; recursive ones on 600 bars."""
    assert warm_up_bars(names) == bars


@pytest.mark.parametrize("name", ALL_FEATURES)
def test_a_feature_reads_the_columns_that_it_names(name: str) -> None:
    """Those are what the API asks the database for: one missing would be NaN, one too many would be read in vain."""
    whole = bars_of(make_rows(1, 5))
    read = set()

    class Watched(Bars):
        def __getattribute__(self, attribute: str) -> Any:
            read.add(attribute)
            return super().__getattribute__(attribute)

    FEATURES[name].compute(Watched(**{field.name: getattr(whole, field.name) for field in fields(whole)}))
    assert read & NUMBERS == set(FEATURES[name].columns)
