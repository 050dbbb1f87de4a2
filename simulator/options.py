"""Reads and checks the options of the command."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from shared.command import Parser
from shared.errors import UsageError
from shared.instant import from_milliseconds, parse_instant
from shared.logging import Format, Level
from simulator.archive import ArchiveOptions
from simulator.clock import RunningClock
from simulator.fault import KINDS, Fault, parse_fault
from simulator.files import Files
from simulator.generator import Generator
from simulator.limits import Limits
from simulator.parameters import is_symbol
from simulator.server import Simulator

FASTEST = 86_400.0  # a day a second

_EPILOG = (
    "faults, written KIND,key=value,... with the keys path, host, symbol, variant, seconds, probability, skip, count, "
    + (
        "for_seconds, start, end:\n"
        + "".join(f"  {kind:16} {what}\n" for kind, what in KINDS.items())
        + "\nWhile it runs: GET, POST, DELETE /_simulator/faults; GET, DELETE /_simulator/log; POST /_simulator/clock."
    )
)


@dataclass(frozen=True)
class Options:
    """The options of the command."""

    host: str
    port: int
    symbols: tuple[str, ...]
    seed: int
    data: tuple[Path, ...]
    start: datetime | None
    speed: float
    faults: tuple[Fault, ...]
    limits: Limits
    archives: ArchiveOptions
    log_level: Level
    log_format: Format | None

    def make_simulator(self) -> Simulator:
        """Make the simulator; reads the files, and raises UsageError for a file that it cannot use."""
        start = self.start
        source: Files | Generator
        if self.data:
            source = Files(self.data, self.symbols[0] if self.symbols else None)
            start = start or from_milliseconds(source.end_ms)
        else:
            source = Generator(self.symbols or ("BTCUSDT", "ETHUSDT"), self.seed)
        return Simulator(
            source,
            clock=RunningClock(start, self.speed),
            faults=self.faults,
            limits=self.limits,
            archives=self.archives,
            seed=self.seed,
        )


def parse_options(arguments: list[str], environment: Mapping[str, str]) -> Options:
    """Read the command line; exits 2 or raises UsageError, with a sentence, when it cannot be used.

    The variables LOG_LEVEL and LOG_FORMAT of `environment` are the defaults of --log-level and --log-format.
    """
    given = _make_parser(environment).parse_args(arguments)
    if given.log_level not in get_args(Level) or given.log_format not in (None, *get_args(Format)):
        raise UsageError("LOG_LEVEL must be debug, info, warning or error, and LOG_FORMAT console or json.")
    symbols = tuple(filter(None, (given.symbols or "").split(",")))
    for symbol in symbols:
        if not is_symbol(symbol):
            raise UsageError(f"--symbols cannot hold '{symbol}'; write them as BTCUSDT,ETHUSDT.")
    if given.data and len(symbols) > 1:
        raise UsageError("--data serves one symbol; name one in --symbols, or leave it out.")
    if given.archives is not None and not given.archives.is_dir():
        raise UsageError(f"--archives names {given.archives}, which is not a folder.")
    return Options(
        host=given.host,
        port=_check_range(given.port, "--port", 0, 65_535),
        symbols=symbols,
        seed=_check_range(given.seed, "--seed", 0, 2**32 - 1),
        data=tuple(given.data),
        start=_parse_start(given.start),
        speed=_check_speed(given.speed),
        faults=tuple(map(parse_fault, given.faults)),
        limits=Limits(
            weight_a_minute=_check_range(given.weight_limit, "--weight-limit", 1, 10**9),
            ban_seconds=_check_range(given.ban_seconds, "--ban-seconds", 1, 259_200),
        ),
        archives=ArchiveOptions(given.archive_header, given.archives),
        log_level=given.log_level,
        log_format=given.log_format,
    )


def _make_parser(environment: Mapping[str, str]) -> Parser:
    parser = Parser(
        prog="python -m simulator",
        description="Serve the exchange's REST, stream and archives on one port, from a generator or from files.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="where to listen (127.0.0.1)")
    add("--port", type=int, default=9100, help="0 takes a free one, which is printed (9100)")
    add(
        "--symbols",
        help="a comma list (BTCUSDT,ETHUSDT; with --data: one, by default the one in the first file's name)",
    )
    add("--seed", type=int, default=7, help="of the generator and of faults with a probability (7)")
    add("--data", type=Path, nargs="+", action="extend", default=[], metavar="FILE", help="minutes: Parquet, CSV, "
        "zip; quote volume, trades and taker volumes that a file lacks are served as 0: the exchange's protocol has no "
        "null")  # fmt: skip
    add("--start", metavar="TIME", help="the exchange's time at the start, such as 2023-03-24T12:00Z or 7d (now; "
        "with --data: the end of the files)")  # fmt: skip
    add("--speed", type=float, default=1.0, help="exchange seconds in a second (1)")
    add("--fault", "--faults", dest="faults", nargs="+", action="extend", default=[], metavar="SPEC", help="see below")
    add("--weight-limit", type=int, default=Limits.weight_a_minute, help="weight a minute allows (6000)")
    add("--ban-seconds", type=int, default=int(Limits.ban_seconds), help="the first ban's length (120)")
    add("--archives", type=Path, metavar="DIR", help="serve archives from a folder laid out as data/spot/...")
    add("--archive-header", action="store_true", help="archives begin with a header row")
    add("--log-level", choices=get_args(Level), default=environment.get("LOG_LEVEL") or "info")
    add("--log-format", choices=get_args(Format), default=environment.get("LOG_FORMAT") or None)
    return parser


def _parse_start(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return parse_instant(text, datetime.now(UTC))
    except ValueError as error:
        raise UsageError(f"--start: {error}.") from error


def _check_speed(speed: float) -> float:
    if not 0 < speed <= FASTEST:
        raise UsageError(f"--speed must be above 0 and at most {FASTEST:g}, not {speed:g}.")
    return speed


def _check_range(number: int, name: str, least: int, most: int) -> int:
    if not least <= number <= most:
        raise UsageError(f"{name} must be from {least} to {most}, not {number}.")
    return number
