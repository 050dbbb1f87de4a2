"""Rows as text: JSON in rows or columns, and CSV, with the same digits in each.

Rows come as columns of texts, in pieces of some rows, because a value as a text of its own takes several times the
memory that it takes in the answer.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import orjson

from api.fields import Field, Object
from api.kinds import TEXT

# By the column's name, in any order: of each value the text that JSON has, without quotes, and `null` for none.
Texts: TypeAlias = dict[str, list[str]]
NULL = "null"


class Table:
    """How rows of these fields are written.

    The last field may be an object that a row lacks as a whole: then the row has null for it, and so has its first
    column.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        self.columns = tuple(column for field in fields for column in field.columns())
        self._row = Object("", "", tuple(fields)).template()
        last = fields[-1]
        self._first_of_last: int | None = None
        self._row_without_last = self._row.removesuffix(last.template() + "}") + NULL + "}"
        if isinstance(last.type, Object) and last.is_nullable:
            self._first_of_last = len(self.columns) - len(tuple(last.columns()))
        self._quoted = frozenset(column.name for column in self.columns if column.kind.is_quoted)
        # What may have a null in JSON, and what has nothing for it in CSV.
        self._nullable = frozenset(column.name for column in self.columns if column.is_nullable)
        self._emptied = self._nullable | {column.name for column in self.columns if column.is_optional}
        # Any sign may be in these, and so one that must be escaped.
        self._texts = frozenset(column.name for column in self.columns if column.kind is TEXT)

    def rows_json(self, pieces: Iterable[Texts]) -> bytes:
        """Return a JSON array with an object a row."""
        return b"[" + b",".join([",".join(self._rows(piece)).encode() for piece in pieces]) + b"]"

    def columns_json(self, pieces: Iterable[Texts]) -> bytes:
        """Return a JSON object with an array a column."""
        parts: dict[str, list[str]] = {column.name: [] for column in self.columns}
        for piece in pieces:
            for name, values in self._escaped(piece).items():
                is_quoted = name in self._quoted and name not in self._nullable and values
                parts[name].append('"' + '","'.join(values) + '"' if is_quoted else ",".join(values))
        return ("{" + ",".join(f'"{name}":[{",".join(texts)}]' for name, texts in parts.items()) + "}").encode()

    def csv(self, pieces: Iterable[Texts], *, with_header: bool) -> bytes:
        """Return a line a row, below the columns' names; a null is nothing."""
        lines = [(",".join([column.name for column in self.columns]) + "\n").encode()] if with_header else []
        for piece in pieces:
            columns = [self._csv_column(column.name, piece[column.name]) for column in self.columns]
            lines.append("".join([",".join(row) + "\n" for row in zip(*columns, strict=True)]).encode())
        return b"".join(lines)

    def _rows(self, piece: Texts) -> list[str]:
        texts = self._escaped(piece)
        rows = zip(*(texts[column.name] for column in self.columns), strict=True)
        template, first = self._row, self._first_of_last
        if first is None:
            return [template % row for row in rows]
        short = self._row_without_last
        return [template % row if row[first] != NULL else short % row[:first] for row in rows]

    def _escaped(self, piece: Texts) -> Texts:
        """Escape what may need it, and put quotes around a text that may be null."""
        changed = {name: _write_each(piece[name], _escape_json) for name in self._texts}
        for name in self._nullable & self._quoted:
            values = changed.get(name, piece[name])
            changed[name] = [value if value == NULL else f'"{value}"' for value in values]
        return piece | changed

    def _csv_column(self, name: str, values: list[str]) -> list[str]:
        if name in self._texts:
            values = _write_each(values, _escape_csv)
        if name in self._emptied and NULL in values:
            return ["" if value == NULL else value for value in values]
        return values


def _write_each(values: list[str], write: Callable[[str], str]) -> list[str]:
    """Write each value; there are few different ones."""
    written = {value: write(value) for value in set(values)}
    return [written[value] for value in values]


def _escape_json(value: str) -> str:
    return orjson.dumps(value).decode()[1:-1]


def _escape_csv(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if any(sign in value for sign in ',"\r\n') else value
