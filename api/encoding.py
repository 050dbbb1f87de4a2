"""Bars and their features as text: JSON in rows or columns, and CSV, with the same digits in each."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson

from api.arrays import Instants
from api.bars import BarPage

Columns = dict[str, list[str]]

# Names of the answer, and of what they come from.
_NUMBERS: Final = {
    "price": "close",
    "open": "open",
    "high": "high",
    "low": "low",
    "volume": "volume",
    "trades": "trades",
}
ROW_FIELDS: Final = ("timestamp", *_NUMBERS, "source", "created_at")
_QUOTED: Final = frozenset(("timestamp", "source", "created_at"))
_NUMPY: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z


def make_columns(page: BarPage, features: Mapping[str, npt.NDArray[np.generic]], *, newest_first: bool) -> Columns:
    """Return every column of the answer as JSON's text of its values, text values without their quotes."""
    if not len(page):
        return {name: [] for name in (*ROW_FIELDS, *features)}
    columns = {"timestamp": _instants(page.opened_at.astype("datetime64[s]"))}
    columns |= {name: page.numbers[number].split(",") for name, number in _NUMBERS.items()}
    columns["source"] = [page.sources] * len(page) if isinstance(page.sources, str) else page.sources
    columns["created_at"] = _instants(page.created_at)
    columns |= {name: _values(values) for name, values in features.items()}
    return {name: values[::-1] for name, values in columns.items()} if newest_first else columns


def rows_json(columns: Columns) -> str:
    """Return a JSON array with an object a row."""
    template = "{" + ",".join(f'"{name}":"%s"' if name in _QUOTED else f'"{name}":%s' for name in columns) + "}"
    return "[" + ",".join([template % row for row in zip(*_escaped(columns).values(), strict=True)]) + "]"


def columns_json(columns: Columns) -> str:
    """Return a JSON object with an array a column."""
    parts = []
    for name, values in _escaped(columns).items():
        if name in _QUOTED:
            text = '","'.join(values)
            parts.append(f'"{name}":["{text}"]' if values else f'"{name}":[]')
        else:
            parts.append(f'"{name}":[{",".join(values)}]')
    return "{" + ",".join(parts) + "}"


def csv_header(columns: Columns) -> str:
    """Return the first line of a CSV."""
    return ",".join(columns) + "\n"


def csv_rows(columns: Columns) -> str:
    """Return a line a row; a null is nothing."""
    texts = [
        _mapped(values, _csv_text) if name == "source" else _without_nulls(values) for name, values in columns.items()
    ]
    return "".join([",".join(row) + "\n" for row in zip(*texts, strict=True)])


def _instants(instants: Instants) -> list[str]:
    return orjson.dumps(instants, option=_NUMPY).decode()[2:-2].split('","')


def _values(values: npt.NDArray[np.generic]) -> list[str]:
    """JSON's text of each value: the shortest that reads back as the same float, `null` for what is not finite."""
    return orjson.dumps(np.ascontiguousarray(values), option=_NUMPY).decode()[1:-1].split(",")


def _escaped(columns: Columns) -> Columns:
    return columns | {"source": _mapped(columns["source"], _json_text)}


def _mapped(values: list[str], write: Callable[[str], str]) -> list[str]:
    """Write each value; there are few different ones."""
    written = {value: write(value) for value in set(values)}
    return [written[value] for value in values]


def _json_text(value: str) -> str:
    return orjson.dumps(value).decode()[1:-1]


def _csv_text(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if any(sign in value for sign in ',"\r\n') else value


def _without_nulls(values: list[str]) -> list[str]:
    return ["" if value == "null" else value for value in values] if "null" in values else values
