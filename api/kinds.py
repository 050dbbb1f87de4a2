"""The kinds of single values: how each is read and written, and what JSON Schema and Arrow call it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Never, TypeAlias

import orjson

from shared.instant import to_text

Schema: TypeAlias = dict[str, Any]


def _keep(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Kind:
    """A kind of single value.

    In `text_sql` and `value_sql` the braces stand for an expression. The first makes Postgres write the text that a
    table of JSON or CSV has, the second select the value that `read` turns into what JSON has.
    """

    schema: Mapping[str, object]
    arrow: str
    """What Apache Arrow calls a type that has room for every value."""
    text_sql: str = "{}::text"
    value_sql: str = "{}"
    read: Callable[[Any], Any] = _keep
    is_quoted: bool = False

    def describe(self) -> Schema:
        """Return the JSON Schema of a value."""
        return dict(self.schema)

    def objects(self) -> Iterator[Never]:
        """Yield the objects that a value is made of: none."""
        return iter(())


_INSTANT_SCHEMA: Final = {"type": "string", "format": "date-time"}
_EXACT_SQL: Final = "trim_scale({})::text"

BOOLEAN: Final = Kind({"type": "boolean"}, "bool")
INTEGER: Final = Kind({"type": "integer"}, "int64")
# A sum of integers, which may be too large for one of 64 bits.
BIG_INTEGER: Final = Kind({"type": "integer"}, "decimal128(38, 0)", value_sql="{}::text", read=orjson.Fragment)
FLOAT: Final = Kind({"type": "number"}, "float64")
# Exact, without trailing zeros. No decimal of Arrow's has the room that Postgres's has.
DECIMAL: Final = Kind({"type": "number"}, "string", _EXACT_SQL, _EXACT_SQL, orjson.Fragment)
TEXT: Final = Kind({"type": "string"}, "string", is_quoted=True)
# An instant on a whole second, and one to the microsecond.
SECOND: Final = Kind(
    _INSTANT_SCHEMA,
    "timestamp[s, tz=UTC]",
    """to_char({}, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')""",
    read=to_text,
    is_quoted=True,
)
MICROSECOND: Final = Kind(
    _INSTANT_SCHEMA,
    "timestamp[us, tz=UTC]",
    """to_char({}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
    read=to_text,
    is_quoted=True,
)


def one_of(*values: str) -> Kind:
    """The kind of a text that is one of few."""
    return Kind({"type": "string", "enum": list(values)}, "string", is_quoted=True)


ANY_OBJECT: Final = Kind(
    {"type": "object", "additionalProperties": True}, "string", "{}::text", "{}::text", orjson.Fragment
)
