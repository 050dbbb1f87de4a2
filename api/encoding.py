"""Bars and their features as text: JSON in rows or columns, and CSV, with the same digits in each."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson

from api.arrays import Instants
from api.bars import BarPage
from api.features import FeatureColumns

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


def iterate_columns(
    page: BarPage, features: FeatureColumns, *, newest_first: bool, piece_rows: int = 1_000
) -> Iterator[Columns]:
    """Yield the answer's columns in pieces of rows, at least one: JSON's text of each value, text without its quotes.

    In pieces, because a value as a text of its own takes several times the memory that it takes in the answer.
    """
    if not len(page):
        yield {name: [] for name in (*ROW_FIELDS, *features)}
        return
    numbers = {name: page.numbers[number].split(",") for name, number in _NUMBERS.items()}
    sources = [page.sources] * len(page) if isinstance(page.sources, str) else page.sources
    begins = range(0, len(page), piece_rows)
    for begin in reversed(begins) if newest_first else begins:
        rows = slice(begin, begin + piece_rows)
        columns = {"timestamp": _instants(page.opened_at[rows].astype("datetime64[s]"))}
        columns |= {name: values[rows] for name, values in numbers.items()}
        columns["source"] = sources[rows]
        columns["created_at"] = _instants(page.created_at[rows])
        columns |= {name: _values(values[rows]) for name, values in features.items()}
        yield {name: values[::-1] for name, values in columns.items()} if newest_first else columns


def rows_json(pieces: Iterable[Columns]) -> bytes:
    """Return a JSON array with an object a row."""
    texts = []
    for columns in pieces:
        template = "{" + ",".join(f'"{name}":"%s"' if name in _QUOTED else f'"{name}":%s' for name in columns) + "}"
        rows = zip(*_escaped(columns).values(), strict=True)
        texts.append(",".join([template % row for row in rows]).encode())
    return b"[" + b",".join(texts) + b"]"


def columns_json(pieces: Iterable[Columns]) -> bytes:
    """Return a JSON object with an array a column."""
    texts: dict[str, list[str]] = {}
    for columns in pieces:
        for name, values in _escaped(columns).items():
            text = '"' + '","'.join(values) + '"' if name in _QUOTED and values else ",".join(values)
            texts.setdefault(name, []).append(text)
    return ("{" + ",".join(f'"{name}":[{",".join(parts)}]' for name, parts in texts.items()) + "}").encode()


def csv_rows(pieces: Iterable[Columns], *, with_header: bool) -> bytes:
    """Return a line a row, below the columns' names; a null is nothing."""
    lines: list[bytes] = []
    for columns in pieces:
        if with_header and not lines:
            lines.append((",".join(columns) + "\n").encode())
        texts = [
            _mapped(values, _csv_text) if name == "source" else _without_nulls(values)
            for name, values in columns.items()
        ]
        lines.append("".join([",".join(row) + "\n" for row in zip(*texts, strict=True)]).encode())
    return b"".join(lines)


def _instants(instants: Instants) -> list[str]:
    return orjson.dumps(instants, option=_NUMPY).decode()[2:-2].split('","')


def _values(values: npt.NDArray[np.generic] | list[str]) -> list[str]:
    """JSON's text of each value: the shortest that reads back as the same float, `null` for what is not finite."""
    if isinstance(values, list):
        return values
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
