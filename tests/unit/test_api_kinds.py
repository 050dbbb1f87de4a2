"""What Arrow calls a kind is a type that it has, with room for the largest values."""

import re

import pyarrow as pa
import pytest

from api import kinds
from api.kinds import Kind

LARGEST = {
    "BOOLEAN": "true",
    "INTEGER": "9223372036854775807",
    # Trades of a century of minutes, each with as many as one may have.
    "BIG_INTEGER": str(9223372036854775807 * 60 * 24 * 36525),
    "FLOAT": "1.7976931348623157e+308",
    # A price that the tables allow.
    "DECIMAL": "9" * 300 + "." + "9" * 20,
    "TEXT": "coinbase:BTC-USD",
    "SECOND": "2026-11-22T12:34:00Z",
    "MICROSECOND": "2026-11-22T12:34:01.204511Z",
    "ANY_OBJECT": "{}",
}


def make_type(name: str) -> pa.DataType:
    """Return the type of that name."""
    if found := re.fullmatch(r"decimal128\((\d+), (\d+)\)", name):
        return pa.decimal128(int(found[1]), int(found[2]))
    if found := re.fullmatch(r"timestamp\[(s|us), tz=UTC\]", name):
        return pa.timestamp(found[1], "UTC")
    return pa.type_for_alias(name)


def test_every_kind_is_tried() -> None:
    """So that none is added without its largest value."""
    assert {name for name, value in vars(kinds).items() if isinstance(value, Kind)} == set(LARGEST)


@pytest.mark.parametrize("name", LARGEST)
def test_largest_value_has_room_in_its_arrow_type(name: str) -> None:
    """And comes out as it went in."""
    kind: Kind = getattr(kinds, name)
    value = pa.scalar(LARGEST[name]).cast(make_type(kind.arrow))
    assert value.cast(pa.string()).as_py().replace(" ", "T") == LARGEST[name]
