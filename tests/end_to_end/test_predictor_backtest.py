"""The backtest as a command: files in, forecasts out, nothing of the future in between."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from predictor.__main__ import make_parser
from predictor.commands.backtest import run_backtest
from shared.bars import Bars
from shared.errors import MinutebookError
from tests.models import walk
from tests.processes import python

DAYS = 20
ARGUMENTS = ("--since", "2023-01-17", "--until", "2023-01-21", "--horizons", "1,15", "--every", "15")
COLUMNS = [
    "symbol", "made_at", "horizon_minutes", "target_time", "base_price", "point", "lower_50", "upper_50", "lower_80",
    "upper_80", "lower_95", "upper_95", "volatility", "model",
]  # fmt: skip


def write(path: Path, bars: Bars) -> Path:
    """Minutes as a file with no more columns than must be."""
    names = ("open", "high", "low", "close", "volume")
    parquet.write_table(
        pa.table({"open_time": bars.open_time} | {name: getattr(bars, name).astype(str) for name in names}), path
    )
    return path


async def backtest(folder: Path, *arguments: str) -> tuple[int | None, str, str]:
    """Exit code, output and complaints."""
    # No settings at all: it needs no server.
    async with python("-m", "predictor", "backtest", *arguments, folder=folder) as process, asyncio.timeout(100):
        output, complaints = await process.communicate()
    return process.returncode, output.decode(), complaints.decode()


async def test_walks_forward_without_looking_ahead(tmp_path: Path) -> None:
    """Other minutes from a moment on leave every forecast made until then as it was, to the last digit."""
    bars = walk(DAYS)
    moment = int(18.5 * 1440)
    other = walk(DAYS, seed=7)
    later = np.arange(DAYS * 1440) >= moment
    changed = replace(
        bars,
        **{
            name: np.where(later, getattr(other, name), getattr(bars, name))
            for name in ("open", "high", "low", "close")
        },
    )
    tables = []
    for name, minutes in (("BTCUSDT-a.parquet", bars), ("BTCUSDT-b.parquet", changed)):
        data, out = write(tmp_path / name, minutes), tmp_path / f"{name}.csv"
        code, output, complaints = await backtest(tmp_path, "--data", str(data), *ARGUMENTS, "--out", str(out))
        assert code == 0, complaints
        assert "BTCUSDT:   0%" in complaints
        assert "100%" in complaints
        assert "log-HAR" in output
        tables.append(csv.read_csv(out).to_pandas())
    one, another = tables
    assert list(one.columns) == COLUMNS
    assert len(one) == len(another) == 4 * 96 * 2
    known = one["made_at"] < one["made_at"].iloc[0] + np.timedelta64(36, "h")
    assert known.sum() == 36 * 4 * 2
    assert one[known].equals(another[known])
    assert not one[~known].equals(another[~known])
    assert ((one["lower_95"] < one["lower_80"]) & (one["lower_80"] < one["lower_50"])).all()
    assert ((one["lower_50"] < one["point"]) & (one["point"] < one["upper_50"])).all()
    assert (one["target_time"] - one["made_at"] == one["horizon_minutes"].astype("timedelta64[m]")).all()


async def test_minutes_that_are_missing_make_no_forecast(tmp_path: Path) -> None:
    """Rows for the others are there."""
    bars = walk(DAYS)
    gap = 17 * 1440 + 60
    data = tmp_path / "gappy.parquet"
    write(data, bars)
    content = parquet.read_table(data)
    parquet.write_table(pa.concat_tables([content.slice(0, gap), content.slice(gap + 20)]), data)
    out = tmp_path / "out.csv"
    code, _, complaints = await backtest(
        tmp_path, "--data", str(data), *ARGUMENTS, "--out", str(out), "--symbol", "X", "--plots", str(tmp_path)
    )
    assert code == 0, complaints
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in ("reliability.png", "errors.png"))
    made = csv.read_csv(out).to_pandas()
    hour = made[(made["made_at"].dt.day == 18) & (made["made_at"].dt.hour == 1)]
    assert sorted(set(hour["made_at"].dt.minute)) == [0, 45]
    assert set(made["symbol"]) == {"X"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--since", "2023-01-17"), "the following arguments are required"),
        (("--since", "2024-01-02", "--until", "2024-01-21"), "The files end at"),
    ],
)
async def test_bad_usage_is_one_sentence_and_exit_2(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    """It names what to change."""
    data = write(tmp_path / "BTCUSDT.parquet", walk(5))
    code, _, complaints = await backtest(tmp_path, "--data", str(data), "--out", str(tmp_path / "o.csv"), *arguments)
    assert code == 2
    assert sentence in complaints
    assert complaints.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--since", "soon", "--until", "2023-01-21"), "--since: 'soon' is not a time"),
        (("--since", "2023-01-21", "--until", "2023-01-17"), "must lie before"),
        (("--since", "2023-01-17", "--until", "2023-01-21", "--horizons", "0"), "--horizons must be"),
        (("--since", "2023-01-17", "--until", "2023-01-21", "--every", "0"), "--every must be"),
        (("--since", "2023-01-17", "--until", "2023-01-21", "--schedule", "daily"), "--schedule"),
        (("--since", "2023-01-02", "--until", "2023-01-21"), "a model needs at least"),
    ],
)
def test_what_cannot_be_walked_is_refused(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    """By an error that the command shows as it shows all of them."""
    files = ("--data", str(write(tmp_path / "BTCUSDT.parquet", walk(5))), "--out", str(tmp_path / "o.csv"))
    options = make_parser(with_backtest=True).parse_args(["backtest", *files, *arguments])
    with pytest.raises(MinutebookError, match=sentence):
        run_backtest(options)
