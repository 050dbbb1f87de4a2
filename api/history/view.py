"""Bars and their features as texts, of which JSON and CSV are put together."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson

from api.arrays import Instants
from api.history.features import FeatureColumns
from api.history.fields import BAR_FIELDS, NUMBER_COLUMNS
from api.history.queries import BarPage
from api.tables import Texts

_NUMPY: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z


def iterate_texts(
    bars: BarPage, features: FeatureColumns, *, newest_first: bool, piece_rows: int = 1_000
) -> Iterator[Texts]:
    """Yield the columns of a page's table in pieces of rows, at least one."""
    count = len(bars)
    if not count:
        yield {name: [] for name in (*(each.name for each in BAR_FIELDS), *features)}
        return
    numbers = {name: bars.numbers[name].split(",") for name in NUMBER_COLUMNS.values()}
    sources = [bars.sources] * count if isinstance(bars.sources, str) else bars.sources
    begins = range(0, count, piece_rows)
    for begin in reversed(begins) if newest_first else begins:
        rows = slice(begin, begin + piece_rows)
        texts = {"timestamp": _write_instants(bars.opened_at[rows].astype("datetime64[s]"))}
        texts |= {name: numbers[column][rows] for name, column in NUMBER_COLUMNS.items()}
        texts["source"] = sources[rows]
        texts["created_at"] = _write_instants(bars.created_at[rows])
        texts |= {name: _write_values(values[rows]) for name, values in features.items()}
        yield {name: values[::-1] for name, values in texts.items()} if newest_first else texts


def _write_instants(instants: Instants) -> list[str]:
    return orjson.dumps(instants, option=_NUMPY).decode()[2:-2].split('","')


def _write_values(values: npt.NDArray[np.generic] | list[str]) -> list[str]:
    """JSON's text of each value: the shortest that reads back as the same float, `null` for what is not finite."""
    if isinstance(values, list):
        return values
    return orjson.dumps(np.ascontiguousarray(values), option=_NUMPY).decode()[1:-1].split(",")
