"""`python -m predictor backtest`: walks forward over files of minutes, without any server."""

from argparse import ArgumentParser, Namespace
from datetime import datetime
from pathlib import Path

import numpy as np
from tqdm import tqdm

from predictor.commands.backtest_report import format_summary, write_forecasts
from predictor.commands.minute_bars import guess_symbol, read_bars
from predictor.forecast.evaluation import Evaluation, score_forecasts
from predictor.forecast.track_extension import TRACK_MS
from predictor.forecast.training import HISTORY_MS_MAX
from predictor.forecast.walk_forward import WalkForward
from predictor.schedule import Schedule
from predictor.settings import DEFAULT_HORIZONS, DEFAULT_SCHEDULE, check_horizons
from shared.command import EXIT_OK
from shared.errors import UsageError
from shared.instant import MINUTE_MS, floor_minute, from_milliseconds, parse_instant, to_milliseconds, to_text, utc_now

_EVERY_MAX = 1440


def add_arguments(parser: ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("--data", nargs="+", required=True, type=Path, metavar="FILE", help="minutes, Parquet or CSV")
    parser.add_argument("--since", required=True, metavar="T", help="the first forecast: a date or time")
    parser.add_argument("--until", required=True, metavar="T", help="the end, not included")
    parser.add_argument(
        "--horizons", default=",".join(map(str, DEFAULT_HORIZONS)), metavar="MINUTES", help="a comma list of minutes"
    )
    parser.add_argument("--every", type=int, default=5, metavar="MINUTES", help="a forecast each so many minutes")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="where the forecasts are written, CSV")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="where to write reliability.png and errors.png")
    parser.add_argument("--symbol", help="what the forecasts are labelled with; else the file's name says")
    parser.add_argument(
        "--schedule", default=DEFAULT_SCHEDULE, metavar="CRON", help="when to train anew, in UTC; or off"
    )


def run_backtest(options: Namespace) -> int:
    """Run the command: the forecasts to `--out`, the summary to stdout; raises UsageError or PredictionError."""
    horizons = _read_horizons(options.horizons)
    if not 1 <= options.every <= _EVERY_MAX:
        raise UsageError(f"--every must be minutes from 1 to {_EVERY_MAX}.")
    try:
        schedule = Schedule(options.schedule)
    except ValueError as error:
        raise UsageError(f"--schedule: {error}.") from error
    since, until = _read_instant("--since", options.since), _read_instant("--until", options.until)
    if since >= until:
        raise UsageError("--since must lie before --until.")
    if not options.out.parent.is_dir():
        raise UsageError(f"--out names a folder that does not exist: {options.out.parent}.")
    if options.plots is not None and not options.plots.is_dir():
        raise UsageError(f"--plots names a folder that does not exist: {options.plots}.")
    bars = read_bars(options.data)
    symbol = options.symbol or guess_symbol(options.data)
    since_ms, until_ms = to_milliseconds(since), to_milliseconds(until)
    # The first training of all looks no further back, so that decades of files cost only their reading.
    first = int(np.searchsorted(bars.open_time, since_ms - HISTORY_MS_MAX - 2 * TRACK_MS))
    bars = bars.part(min(first, len(bars) - 1), len(bars))
    walk = WalkForward(bars, horizons, options.every, schedule)
    end_ms = min(until_ms, int(bars.open_time[-1]) + 2 * MINUTE_MS)
    if since_ms >= end_ms:
        raise UsageError(f"The files end at {to_text(from_milliseconds(end_ms - MINUTE_MS))}, before --since.")
    with tqdm(total=(end_ms - since_ms) // MINUTE_MS, desc=symbol, unit="min", unit_scale=True) as bar:
        made = walk.run(since_ms, end_ms, bar.update)
    rows = walk.rows(since_ms, end_ms)
    written = write_forecasts(options.out, symbol, walk, rows, made)
    evaluation = score_forecasts(walk.minutes, rows, made)
    if options.plots is not None:
        _draw(evaluation, options.plots)
    print(f"{symbol}: {written} forecasts of {len(walk.champions)} models in {options.out}\n")  # noqa: T201 - the answer
    print(format_summary(evaluation))  # noqa: T201 - the answer
    return EXIT_OK


def _draw(evaluation: Evaluation, folder: Path) -> None:
    from predictor.forecast.plots import draw_errors, draw_reliability  # noqa: PLC0415 - matplotlib takes a second to load

    for name, draw in (("reliability", draw_reliability), ("errors", draw_errors)):
        draw(evaluation).savefig(folder / f"{name}.png", dpi=110)


def _read_horizons(text: str) -> tuple[int, ...]:
    try:
        return check_horizons(tuple(int(part) for part in text.split(",") if part.strip()))
    except ValueError as error:
        raise UsageError("--horizons must be a comma list of minutes from 1 to 1440, such as 1,5,15,60.") from error


def _read_instant(name: str, text: str) -> datetime:
    try:
        return floor_minute(parse_instant(text, utc_now()))
    except ValueError as error:
        raise UsageError(f"{name}: {error}.") from error
