"""Columns as JSON and CSV."""

import csv
import io
import json
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.fields import Field, Object, Pair
from api.history.fields import BAR_FIELDS
from api.history.queries import BarPage
from api.history.view import iterate_texts
from api.kinds import DECIMAL, FLOAT, INTEGER, SECOND, TEXT
from api.tables import Table, Texts

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
values = st.floats() | st.integers(-(2**53), 2**53).map(float)


@pytest.mark.parametrize("piece", [3, 1_000])
@given(rows=st.lists(st.tuples(texts, values), min_size=1, max_size=20), newest_first=st.booleans())
def test_every_form_reads_back_alike(piece: int, rows: list[tuple[str, float]], newest_first: bool) -> None:
    """Whatever a source is called, and in however many pieces; what is not finite is null, in CSV nothing."""
    count = len(rows)
    number = ",".join(["12.50"] * count)
    page = BarPage(
        opened_at=np.datetime64("2024-03-01", "us") + np.arange(count).astype("timedelta64[m]"),
        numbers=dict.fromkeys(("open", "high", "low", "close", "volume", "trades"), number),
        created_at=np.full(count, np.datetime64("2024-03-01T00:00:01.000002", "us")),
        sources=[source for source, _ in rows],
    )
    feature = np.array([value for _, value in rows])

    table = Table((*BAR_FIELDS, Field("feature", FLOAT, "", is_nullable=True)))

    def pieces() -> Iterator[Texts]:
        return iterate_texts(page, {"feature": feature}, newest_first=newest_first, piece_rows=piece)

    expected = rows[::-1] if newest_first else rows
    read = json.loads(table.rows_json(pieces()))
    assert [row["source"] for row in read] == [source for source, _ in expected]
    assert [row["feature"] for row in read] == [value if np.isfinite(value) else None for _, value in expected]
    assert read[0]["created_at"] == "2024-03-01T00:00:01.000002Z"
    assert read[-1 if newest_first else 0]["timestamp"] == "2024-03-01T00:00:00Z"
    by_column = json.loads(table.columns_json(pieces()))
    assert {name: [row[name] for row in read] for name in read[0]} == by_column
    lines = list(csv.DictReader(io.StringIO(table.csv(pieces(), with_header=True).decode(), newline="")))
    assert [line["source"] for line in lines] == [source for source, _ in expected]
    assert [float(line["feature"]) if line["feature"] else None for line in lines] == [row["feature"] for row in read]


def test_the_declaration_says_the_order_and_not_the_texts() -> None:
    """So that a field is added in one place."""
    table = Table((Field("a", TEXT, ""), Field("b", INTEGER, ""), Field("c", INTEGER, "")))
    texts = {"c": ["3"], "a": ["one, two"], "b": ["2"]}
    assert table.rows_json([texts]) == b'[{"a":"one, two","b":2,"c":3}]'
    assert table.columns_json([texts]) == b'{"a":["one, two"],"b":[2],"c":[3]}'
    assert table.csv([texts], with_header=True) == b'a,b,c\n"one, two",2,3\n'


def test_what_a_row_lacks_is_null_in_json_and_nothing_in_csv() -> None:
    """A value, one of a pair, and an object as a whole, of which no other row takes notice."""
    bounds = Pair(
        Field("lower", DECIMAL, "", column="lower_50", is_nullable=True),
        Field("upper", DECIMAL, "", column="upper_50", is_nullable=True),
    )
    outcome = Object(
        "Outcome", "", (Field("scored_at", SECOND, ""), Field("rescored_at", SECOND, "", is_nullable=True))
    )
    table = Table((Field("n", INTEGER, ""), Field("50", bounds, ""), Field("outcome", outcome, "", is_nullable=True)))
    instant = "2024-03-01T00:00:00Z"
    texts: Texts = {
        "n": ["1", "2", "3"],
        "lower_50": ["1.5", "null", "0.1"],
        "upper_50": ["2", "null", "0.2"],
        "scored_at": ["null", instant, instant],
        "rescored_at": ["null", "null", instant],
    }
    assert json.loads(table.rows_json([texts])) == [
        {"n": 1, "50": [1.5, 2], "outcome": None},
        {"n": 2, "50": [None, None], "outcome": {"scored_at": instant, "rescored_at": None}},
        {"n": 3, "50": [0.1, 0.2], "outcome": {"scored_at": instant, "rescored_at": instant}},
    ]
    assert table.csv([texts], with_header=True).decode().splitlines() == [
        "n,lower_50,upper_50,scored_at,rescored_at",
        "1,1.5,2,,",
        f"2,,,{instant},",
        f"3,0.1,0.2,{instant},{instant}",
    ]
