"""Walks forward over minute files: trains, forecasts and calibrates as the service does, without its servers.

The model of each moment is the champion that the service would have had: trained at the start on what came before,
retrained by the schedule, and replaced by the gate. A forecast sees nothing after its own minute.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv
from tqdm import tqdm

from predictor.distribution import Distributions, distribute
from predictor.evaluation import Evaluation, HorizonScores, score
from predictor.inputs import Minutes
from predictor.intervals import Calibration
from predictor.minute_files import guess_symbol, read_minutes
from predictor.model import DistributionModel
from predictor.schedule import Schedule
from predictor.settings import DEFAULT_HORIZONS, DEFAULT_SCHEDULE, check_horizons
from predictor.track import empty_track
from predictor.training import HISTORY_MS_MAX, TRACK_MS, extend_track, retrain
from shared.bars import Bars
from shared.command import EXIT_OK
from shared.errors import UsageError
from shared.instant import MINUTE_MS, floor_minute, from_milliseconds, parse_instant, to_milliseconds, to_text, utc_now
from shared.levels import LEVELS
from shared.rolling import Integers

_EVERY_MAX = 1440


class Backtest:
    """One walk: the champions' line from `since_ms` to `until_ms`, and what they forecast."""

    def __init__(self, bars: Bars, horizons: Sequence[int], every: int, schedule: Schedule) -> None:
        self.minutes = Minutes.of(bars)
        self._horizons = tuple(sorted(horizons))
        self._every = every
        self._schedule = schedule
        self.champions: list[tuple[int, int]] = []
        """When each champion began to serve, in ms, and the number of its training."""

    def run(self, since_ms: int, until_ms: int, on_progress: Callable[[int], object] = lambda _: None) -> Distributions:
        """Forecast at each close in [since_ms, until_ms) on the grid of `every` minutes; see `rows` for which.

        Raises TooLittleHistoryError when there is not enough before `since_ms` to begin with.
        """
        champion: DistributionModel | None = None
        served = empty_track(self._horizons)
        for number, (start_ms, end_ms) in enumerate(self._periods(since_ms, until_ms), 1):
            champion = self._trained(start_ms, champion, number)
            # What was made in the period, which ends before `end_ms`.
            champion.track = extend_track(self.minutes, champion, champion.track, end_ms - 1, self._every)
            served = served.extended(champion.track)
            on_progress((end_ms - start_ms) // MINUTE_MS)
        rows = self.rows(since_ms, until_ms)
        made = np.searchsorted(served.open_time, self.minutes.open_time[rows])
        calibration = Calibration(self.minutes, served, self._horizons)
        scales = calibration.scales(self.minutes.open_time[rows])
        return distribute(self.minutes, rows, served.at(made), calibration, scales)

    def rows(self, since_ms: int, until_ms: int) -> Integers:
        """The minutes that close in [since_ms, until_ms) on the grid, whether they are there or not."""
        end_ms = min(until_ms, int(self.minutes.open_time[-1]) + 2 * MINUTE_MS)
        closes = np.arange(-(-since_ms // MINUTE_MS), -(-end_ms // MINUTE_MS), dtype=np.int64)
        closes = closes[closes % self._every == 0]
        return np.asarray(closes - 1 - int(self.minutes.open_time[0]) // MINUTE_MS)

    def _trained(self, now_ms: int, champion: DistributionModel | None, number: int) -> DistributionModel:
        challenger, decision = retrain(self.minutes, now_ms, self._horizons, champion, self._every)
        if champion is None or decision.is_better:
            self.champions.append((now_ms, number))
            return challenger
        return champion

    def _periods(self, since_ms: int, until_ms: int) -> Iterator[tuple[int, int]]:
        """From one training to the next: at the start, then whenever the schedule says."""
        start_ms = since_ms
        while start_ms < until_ms:
            next_at = self._schedule.next_after(from_milliseconds(start_ms))
            next_ms = to_milliseconds(next_at) if next_at else until_ms
            yield start_ms, min(next_ms, until_ms)
            start_ms = next_ms


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
    """Run the command: the forecasts to `--out`, the summary to stdout; raises UsageError or ForecastError."""
    horizons = _horizons(options.horizons)
    if not 1 <= options.every <= _EVERY_MAX:
        raise UsageError(f"--every must be minutes from 1 to {_EVERY_MAX}.")
    try:
        schedule = Schedule(options.schedule)
    except ValueError as error:
        raise UsageError(f"--schedule: {error}.") from error
    since, until = _instant("--since", options.since), _instant("--until", options.until)
    if since >= until:
        raise UsageError("--since must lie before --until.")
    if not options.out.parent.is_dir():
        raise UsageError(f"--out names a folder that does not exist: {options.out.parent}.")
    if options.plots is not None and not options.plots.is_dir():
        raise UsageError(f"--plots names a folder that does not exist: {options.plots}.")
    bars = read_minutes(options.data)
    symbol = options.symbol or guess_symbol(options.data)
    since_ms, until_ms = to_milliseconds(since), to_milliseconds(until)
    # The first training of all looks no further back, so that decades of files cost only their reading.
    first = int(np.searchsorted(bars.open_time, since_ms - HISTORY_MS_MAX - 2 * TRACK_MS))
    bars = bars.part(min(first, len(bars) - 1), len(bars))
    walk = Backtest(bars, horizons, options.every, schedule)
    end_ms = min(until_ms, int(bars.open_time[-1]) + 2 * MINUTE_MS)
    if since_ms >= end_ms:
        raise UsageError(f"The files end at {to_text(from_milliseconds(end_ms - MINUTE_MS))}, before --since.")
    with tqdm(total=(end_ms - since_ms) // MINUTE_MS, desc=symbol, unit="min", unit_scale=True) as bar:
        made = walk.run(since_ms, end_ms, bar.update)
    rows = walk.rows(since_ms, end_ms)
    written = write_forecasts(options.out, symbol, walk, rows, made)
    evaluation = score(walk.minutes, rows, made)
    if options.plots is not None:
        _draw(evaluation, options.plots)
    print(f"{symbol}: {written} forecasts of {len(walk.champions)} models in {options.out}\n")  # noqa: T201 - the answer
    print(summary(evaluation))  # noqa: T201 - the answer
    return EXIT_OK


def _draw(evaluation: Evaluation, folder: Path) -> None:
    from predictor.plots import error_plot, reliability_plot  # noqa: PLC0415 - matplotlib takes a second to load

    for name, draw in (("reliability", reliability_plot), ("errors", error_plot)):
        draw(evaluation).savefig(folder / f"{name}.png", dpi=110)


def write_forecasts(path: Path, symbol: str, walk: Backtest, rows: Integers, made: Distributions) -> int:
    """Write a row a forecast, by time and horizon, and return how many; what could not be made is left out."""
    count, horizons = made.point.shape
    made_at = np.repeat(walk.minutes.open_time[rows] + MINUTE_MS, horizons)
    horizon = np.tile(np.asarray(made.horizons, dtype=np.int64), count)
    kept = np.flatnonzero(np.isfinite(made.lower[0].ravel()))
    began = np.array([start for start, _ in walk.champions])
    names = np.array([f"minutebook-{symbol.lower()}/{number}" for _, number in walk.champions])
    champion = names[np.searchsorted(began, made_at[kept], side="right") - 1]
    base = np.repeat(walk.minutes.bars.close[rows], horizons)
    columns: dict[str, object] = {
        "symbol": np.full(len(kept), symbol),
        "made_at": _texts(made_at[kept]),
        "horizon_minutes": horizon[kept],
        "target_time": _texts((made_at + horizon * MINUTE_MS)[kept]),
        "base_price": base[kept],
        "point": made.point.ravel()[kept],
    }
    for position, level in enumerate(LEVELS):
        columns[f"lower_{level}"] = made.lower[position].ravel()[kept]
        columns[f"upper_{level}"] = made.upper[position].ravel()[kept]
    columns |= {"volatility": np.sqrt(made.variances).ravel()[kept], "model": champion}
    try:
        csv.write_csv(pa.table(columns), path, csv.WriteOptions(quoting_style="none"))
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.") from error
    return len(kept)


def summary(evaluation: Evaluation) -> str:
    """Return the table of scores by horizon, with ratios to the reference and to constant width."""
    lines = [_HEADER, "-" * len(_HEADER)]
    lines += [_line(score) for score in evaluation.scores]
    names = ("winkler80", "winkler95", "qlike")
    means = [
        np.mean([getattr(score, f"{prefix}{name}_ratio") for score in evaluation.scores])
        for prefix in ("", "constant_")
        for name in names
    ]
    lines.append(f"{'mean':>7}" + " " * (len(_HEADER) - 7 - 50) + _ratios(means[:3]) + " " + _ratios(means[3:]))
    lines += [
        "",
        "MAE is of prices, and of naive (the last price) beside it. W80, W95: interval scores, QLIKE: of variance,",
        "as ratios; below 1 is better. log-HAR: a naive point with a daily refitted log-HAR and split conformal",
        "intervals; constant: intervals as wide as the last 30 days' returns. Over the same forecasts.",
    ]
    return "\n".join(lines)


_HEADER = (
    f"{'horizon':>7} {'n':>8} {'MAE':>10} {'naive':>10} {'ratio':>7}  "
    + " ".join(f"{f'{level}%':>6}" for level in LEVELS)
    + f" {'QLIKE':>7}  "
    f"{'/ log-HAR':>8}: W80   W95  QLIKE {'/ constant':>8}: W80   W95  QLIKE"
)


def _line(score: HorizonScores) -> str:
    covered = " ".join(f"{100 * score.coverage[level]:6.2f}" for level in LEVELS)
    ours = _ratios([score.winkler80_ratio, score.winkler95_ratio, score.qlike_ratio])
    wide = _ratios([score.constant_winkler80_ratio, score.constant_winkler95_ratio, score.constant_qlike_ratio])
    return (
        f"{score.horizon_minutes:>7} {score.n:>8} {score.mae:>10.4f} {score.naive_mae:>10.4f} "
        f"{score.relative_mae:>7.4f}  {covered} {score.qlike:>7.4f}  {ours} {wide}"
    )


def _ratios(values: Sequence[float]) -> str:
    return "     " + " ".join(f"{value:6.4f}" for value in values)


def _texts(milliseconds: Integers) -> list[str]:
    return [f"{text}Z" for text in np.datetime_as_string(milliseconds.astype("datetime64[ms]"), unit="s")]


def _horizons(text: str) -> tuple[int, ...]:
    try:
        return check_horizons(tuple(int(part) for part in text.split(",") if part.strip()))
    except ValueError as error:
        raise UsageError("--horizons must be a comma list of minutes from 1 to 1440, such as 1,5,15,60.") from error


def _instant(name: str, text: str) -> datetime:
    try:
        return floor_minute(parse_instant(text, utc_now()))
    except ValueError as error:
        raise UsageError(f"{name}: {error}.") from error
