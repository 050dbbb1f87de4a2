"""Minutes from files as people have them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from predictor.commands.minute_bars import guess_symbol, read_bars
from shared.errors import UsageError
from shared.instant import MINUTE_MS
from tests.models import START_MS

COUNT = 6


def table(**changes: object) -> pa.Table:
    """A few minutes with the exchange's names; a change of None leaves a column out."""
    times = START_MS + np.arange(COUNT) * MINUTE_MS
    columns: dict[str, object] = {
        "open_time_ms": times,
        "open": ["100.0"] * COUNT,
        "high": ["101.5"] * COUNT,
        "low": ["99.5"] * COUNT,
        "close": [f"100.{number}" for number in range(COUNT)],
        "volume": ["2.0"] * COUNT,
        "quote_volume": ["200.5"] * COUNT,
        "trades": [3] * COUNT,
        "taker_base": ["1.0"] * COUNT,
    } | changes
    return pa.table({name: values for name, values in columns.items() if values is not None})


def write(folder: Path, content: pa.Table, name: str = "BTCUSDT-1m-2023.parquet") -> Path:
    """A file of either kind."""
    path = folder / name
    if name.endswith(".csv"):
        csv.write_csv(content, path)
    else:
        parquet.write_table(content, path)
    return path


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
@pytest.mark.parametrize(
    "times",
    [
        {"open_time": START_MS + np.arange(COUNT) * MINUTE_MS, "open_time_ms": None},
        {"open_time": (START_MS + np.arange(COUNT) * MINUTE_MS) * 1000, "open_time_ms": None},
        {"open_time": (START_MS + np.arange(COUNT) * MINUTE_MS).astype("datetime64[ms]"), "open_time_ms": None},
        {"open_time": [f"2023-01-01T00:0{number}:00Z" for number in range(COUNT)], "open_time_ms": None},
        {},
    ],
    ids=["ms", "µs", "timestamp", "text", "open_time_ms"],
)
def test_times_are_read_in_every_form(tmp_path: Path, name: str, times: dict[str, object]) -> None:
    """Parquet or CSV, whatever the unit."""
    bars = read_bars([write(tmp_path, table(**times), name)])
    assert bars.open_time.tolist() == [START_MS + number * MINUTE_MS for number in range(COUNT)]
    assert bars.close[1] == 100.1
    assert bars.trades[0] == 3


def test_order_and_repeats_do_not_matter(tmp_path: Path) -> None:
    """The last row of a minute wins, in a later file too."""
    shuffled = table().take(pa.array([3, 0, 5, 1, 4, 2, 3]))
    corrected = table(close=["101.0"] * COUNT).slice(2, 1)
    bars = read_bars([write(tmp_path, shuffled), write(tmp_path, corrected, "later.csv")])
    assert (np.diff(bars.open_time) == MINUTE_MS).all()
    assert bars.close.tolist() == [100.0, 100.1, 101.0, 100.3, 100.4, 100.5]


def test_missing_minutes_stay_missing_and_senseless_ones_are_left_out(tmp_path: Path) -> None:
    """A high below the low, a price of nothing, or a minute off the grid is no minute."""
    content = table(
        high=["101.5", "90", "101.5", "101.5", "101.5", "101.5"],
        low=["99.5", "99.5", "0", "99.5", "99.5", "99.5"],
        open_time_ms=[
            START_MS,
            START_MS + 60_000,
            START_MS + 120_000,
            START_MS + 180_001,
            START_MS + 300_000,
            START_MS,
        ],
    )
    assert read_bars([write(tmp_path, content)]).open_time.tolist() == [START_MS, START_MS + 300_000]


def test_amounts_may_be_absent(tmp_path: Path) -> None:
    """What nothing tells is NaN, rather than a number that was made up."""
    bars = read_bars([write(tmp_path, table(quote_volume=None, trades=None, taker_base=None))])
    assert bars.volume.tolist() == [2.0] * COUNT
    for amounts in (bars.quote_volume, bars.trades, bars.taker_base_volume):
        assert np.isnan(amounts).all()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (table(close=None), "lacks the column close"),
        (table(open_time_ms=None), "lacks the column open_time"),
        (table(close=["x"] * COUNT), "not a file of minutes"),
        (table(open_time_ms=np.arange(COUNT) + 1_672_531_200), "looks like seconds"),
        (table(low=["0"] * COUNT), "no minute with sound prices"),
    ],
)
def test_files_that_are_no_minutes_are_named(tmp_path: Path, content: pa.Table, sentence: str) -> None:
    """With what is wrong."""
    with pytest.raises(UsageError, match=sentence) as refused:
        read_bars([write(tmp_path, content, "mine.csv")])
    assert "mine.csv" in str(refused.value)


@pytest.mark.parametrize("name", ["absent.parquet", "broken.parquet", "empty.csv"])
def test_files_that_cannot_be_read_are_named(tmp_path: Path, name: str) -> None:
    """One sentence, no traceback."""
    if not name.startswith("absent"):
        (tmp_path / name).write_bytes(b"nonsense" if name.startswith("broken") else b"")
    with pytest.raises(UsageError, match=name):
        read_bars([tmp_path / name])


def test_symbol_is_what_the_exchanges_files_begin_with() -> None:
    """Others are called by their whole name."""
    assert guess_symbol([Path("ETHUSDT-1m-2024-03.csv")]) == "ETHUSDT"
    assert guess_symbol([Path("/x/mine.csv.gz")]) == "MINE"
