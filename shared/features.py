"""Computes the features of bars, for the history endpoint and for the models alike.

A window counts bars of the interval, the bar's own included. A value is NaN while its window is not full or lacks a
bar; recursive features start anew after a gap. No value depends on later bars, nor on where the bars begin, if
`warm_up_bars` come before the first wanted one. `shared.feature_table` lists the features.
"""

import difflib
from collections.abc import Mapping, Sequence

from shared.bars import Bars
from shared.feature_table import ALL_FEATURES, DEFAULT_FEATURES, FEATURES
from shared.rolling import Floats, Integers

_SETS: Mapping[str, tuple[str, ...]] = {"default": DEFAULT_FEATURES, "all": ALL_FEATURES, "none": ()}


def compute(bars: Bars, names: Sequence[str]) -> dict[str, Floats | Integers]:
    """Return the named features in that order, one value a bar and NaN for none; raises KeyError for unknown names."""
    return {name: FEATURES[name].compute(bars) for name in names}


def warm_up_bars(names: Sequence[str]) -> int:
    """Return how many bars must come before the first wanted one, so that its features have their values."""
    return max((FEATURES[name].reads for name in names), default=0)


def parse_names(text: str) -> tuple[str, ...]:
    """Parse a comma list of feature names and of the words `default`, `none` and `all`; returns each name once.

    Raises ValueError, with a sentence that suggests similar names, for an unknown one.
    """
    names: dict[str, None] = {}
    for word in (word.strip() for word in text.split(",")):
        if word in _SETS:
            names |= dict.fromkeys(_SETS[word])
        elif word in FEATURES:
            names[word] = None
        else:
            near = difflib.get_close_matches(word.lower(), [*FEATURES, *_SETS], n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else "'all' lists them."
            raise ValueError(f"'{word[:40]}' is no feature; {hint}")
    return tuple(names)


def describe_markdown() -> str:
    """Return a table of all features with formula, unit and source, for the documentation."""
    lines = ["| feature | formula | unit | source |", "|---|---|---|---|"]
    for feature in FEATURES.values():
        cells = (f"`{feature.name}`", feature.formula, feature.unit, feature.source)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
