"""Files of minutes are served exactly as they are written, whatever their form."""

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from shared.errors import UsageError
from simulator.files import Files
from simulator.generator import Generator
from simulator.kline import DAY_MS, SCHEMA

DAY = 20_458
HEADERLESS = "ignore-the-header"


def minutes(count: int = 1440) -> Any:
    """A generated day's columns as a table."""
    return pa.Table.from_batches([Generator(("BTCUSDT",)).day("BTCUSDT", DAY).columns]).slice(0, count)


def expected_rows(table: Any) -> list[Any]:
    return [[*row.values(), "0"] for row in table.to_pylist()]


def served_rows(files: Files) -> list[Any]:
    return [json.loads(row) for day in files.days for row in files.day(files.symbols[0], day).rows]


def write_csv(path: Path, table: Any, header: str | None) -> Path:
    lines = [",".join(map(str, row)) for row in expected_rows(table)]
    text = "\n".join(([header] if header else []) + lines) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("minutes.csv", text)
    else:
        path.write_text(text)
    return path


def test_parquet_comes_back_exactly(tmp_path: Path) -> None:
    """Every field of every row, text for text."""
    path = tmp_path / "ETHUSDT-1m-2026.parquet"
    pyarrow.parquet.write_table(minutes(), path)
    files = Files([path])
    assert files.symbols == ("ETHUSDT",)
    assert served_rows(files) == expected_rows(minutes())
    assert files.end_ms == (DAY + 1) * DAY_MS


@pytest.mark.parametrize("name", ["minutes.csv", "minutes.csv.gz", "minutes.zip"])
@pytest.mark.parametrize(
    "header",
    [
        None,
        ",".join([*SCHEMA.names, "ignore"]),
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore",
    ],
)
def test_csv_comes_back_exactly(tmp_path: Path, name: str, header: str | None) -> None:
    """With the exchange's header, ours or none; plain, gzip or zip."""
    files = Files([write_csv(tmp_path / name, minutes(100), header)])
    assert files.symbols == ("BTCUSDT",)
    assert served_rows(files) == expected_rows(minutes(100))


def test_trailing_zeros_are_kept(tmp_path: Path) -> None:
    """Decimal text is not a number."""
    path = tmp_path / "few.csv"
    path.write_text("open_time_ms,open,high,low,close,volume\n1767571200000,10.0,10.50,9,10.500000,3.10\n")
    row = served_rows(Files([path]))[0]
    assert row[:6] == [1_767_571_200_000, "10.0", "10.50", "9", "10.500000", "3.10"]
    assert row[6:] == [1_767_571_259_999, "0.00000000", 0, "0.00000000", "0.00000000", "0"]


def test_microseconds_are_told_by_magnitude(tmp_path: Path) -> None:
    """Archives from 2025 on count microseconds."""
    table = minutes(3)
    for name in ("open_time", "close_time"):
        micro = pa.array([value.as_py() * 1000 for value in table.column(name)], pa.int64())
        table = table.set_column(table.column_names.index(name), name, micro)
    assert served_rows(Files([write_csv(tmp_path / "micro.csv", table, None)])) == expected_rows(minutes(3))


def test_repeated_and_unordered_rows_are_put_right(tmp_path: Path) -> None:
    """Each minute once, in order; the last of a repetition counts, over all files."""
    table = minutes(4)
    changed = table.slice(2, 1).set_column(1, "open", pa.array(["1.00000000"]))
    pyarrow.parquet.write_table(table.take([3, 2, 0, 1]), tmp_path / "a.parquet")
    pyarrow.parquet.write_table(changed, tmp_path / "b.parquet")
    rows = served_rows(Files([tmp_path / "a.parquet", tmp_path / "b.parquet"], "BTCUSDT"))
    expected = expected_rows(table)
    expected[2][1] = "1.00000000"
    assert rows == expected


def test_floating_point_prices_are_written_with_eight_places(tmp_path: Path) -> None:
    """A file that lost its text already is still served."""
    columns = {"open_time": [1_767_571_200_000], **{name: [0.1] for name in ("open", "high", "low", "close", "volume")}}
    pyarrow.parquet.write_table(pa.table(columns), tmp_path / "floats.parquet")
    assert served_rows(Files([tmp_path / "floats.parquet"]))[0][1] == "0.10000000"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("open_time,open,high,low,close\n1767571200000,1,1,1,1\n", "lacks the column volume"),
        ("open_time,open,high,low,close,volume\n1767571200000,1,1,1,much,1\n", "not a file of minutes"),
        ("open_time,open,high,low,close,volume\n1767571200000,1,1,1,NaN,1\n", "not a file of minutes"),
        ("open_time,open,high,low,close,volume\nnoon,1,1,1,1,1\n", "not a file of minutes"),
        ("open_time,open,high,low,close,volume\n", "no minute"),
        ("", "not a file of minutes"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_a_sentence(tmp_path: Path, text: str, reason: str) -> None:
    """One sentence that says what is wrong with which file."""
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=reason):
        Files([path])


@pytest.mark.parametrize("name", ["absent.parquet", "absent.csv", "absent.zip"])
def test_an_absent_file_is_refused_with_its_name(tmp_path: Path, name: str) -> None:
    """The sentence names the file."""
    with pytest.raises(UsageError, match=name):
        Files([tmp_path / name])


def test_a_year_loads_quickly_and_a_day_is_found_in_it(tmp_path: Path) -> None:
    """Days are cut out of the whole without copying it."""
    path = tmp_path / "BTCUSDT-1m-year.parquet"
    generator = Generator(("BTCUSDT",))
    days = [generator.day("BTCUSDT", DAY + day).columns for day in range(10)]
    pyarrow.parquet.write_table(pa.Table.from_batches(days), path)
    files = Files([path])
    assert files.days == range(DAY, DAY + 10)
    assert files.day("BTCUSDT", DAY + 9).rows == generator.day("BTCUSDT", DAY + 9).rows
    assert len(files.day("BTCUSDT", DAY + 10)) == 0
    assert len(files.day("ETHUSDT", DAY)) == 0
