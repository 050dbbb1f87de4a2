"""The features of a bar: one implementation for the history endpoint and for the models, vectorised over bars.

A window counts bars of the interval, the bar's own included. A value is NaN while its window is not full or a bar in
it is missing; recursive features begin anew after a gap. Nothing looks ahead, and what lies before a window leaves no
trace in it, so that a value does not depend on where the bars begin, given `warm_up_bars` of them before.
`shared.feature_table` says which there are.
"""

import difflib
from collections.abc import Mapping, Sequence

from shared.bars import Bars
from shared.feature_table import ALL_FEATURES, DEFAULT_FEATURES, FEATURES
from shared.rolling import Floats, Integers

_SETS: Mapping[str, tuple[str, ...]] = {"default": DEFAULT_FEATURES, "all": ALL_FEATURES, "none": ()}


def compute(bars: Bars, names: Sequence[str]) -> dict[str, Floats | Integers]:
    """Return the named features in that order, one value a bar, NaN where there is none; KeyError for other names."""
    return {name: FEATURES[name].compute(bars) for name in names}


def warm_up_bars(names: Sequence[str]) -> int:
    """Return how many bars before the first wanted one must be given for its features to be whole."""
    return max((FEATURES[name].reads for name in names), default=0)


def parse_names(text: str) -> tuple[str, ...]:
    """Read `default`, `none`, `all` or a comma list of names, in which those words may stand too; each name once.

    Raises ValueError with a sentence that names the nearest known ones.
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
