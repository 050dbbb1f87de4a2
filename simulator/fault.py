"""A fault that the simulator produces on request, and how it is written.

A fault is written `kind,key=value,…` on the command line (`429,seconds=30,count=2,path=/api/v3/klines`) and as a JSON
object over HTTP. `KINDS` lists them all. Times of minutes (`start`, `end`) are the exchange's, `for_seconds` is the
machine's; without bounds a fault stays active until it is cleared.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

from shared.errors import UsageError
from shared.instant import EPOCH, from_milliseconds, parse_instant, to_milliseconds, to_text

HTTP_KINDS = {
    "429": "too many requests; `seconds` gives a Retry-After, and a client that keeps sending until then is banned",
    "418": "a ban of `seconds` (120): every request is answered with 418 until it is over",
    "403": "a firewall's refusal, in HTML",
    "404": "not found",
    "451": "refused from a restricted location",
    "500": "an internal error",
    "502": "a proxy's error page, in HTML",
    "503": "overloaded",
    "timeout": "the request is accepted and never answered",
    "reset": "the connection is reset",
    "slow": "the answer comes `seconds` (5) late",
    "malformed_json": "status 200 with a body that is not JSON",
    "truncated": "the connection ends in the middle of the body",
    "empty": "status 200 with an empty list",
}
ROW_KINDS = {
    "bad_row": "one row of a klines answer is malformed; `variant` says how: "
    "missing_field, nan, null, wrong_type, negative, high_below_low, off_grid, not_a_list (default: any)",
}
STREAM_KINDS = {
    "silent_stream": "streams stay connected and send nothing",
    "late_close": "a closing push comes `seconds` (5) late",
    "no_close": "a closing push never comes",
    "cut_stream": "connections end at the next push",
    "server_shutdown": "connections get the serverShutdown event and end at the next push",
    "wrong_symbol": "a frame carries another symbol",
    "malformed_frame": "a frame is not JSON",
}
DATA_KINDS = {
    "hole": "minutes from `start` to `end` do not exist",
    "late_row": "REST has a minute only `seconds` (5) after it closed",
    "stale_row": "REST answers as it was `seconds` (5) ago: a closed minute still shows its open candle",
    "correction": "a minute's first row is wrong until `seconds` (30) after it closed; `probability` is by minute",
    "clock_offset": "the exchange's time is `seconds` ahead, or behind when negative",
}
ARCHIVE_KINDS = {
    "bad_checksum": "a .CHECKSUM file names another sum",
    "truncated_zip": "an archive ends in its middle",
}
KINDS = {**HTTP_KINDS, **ROW_KINDS, **STREAM_KINDS, **DATA_KINDS, **ARCHIVE_KINDS}
ROW_VARIANTS = ("missing_field", "nan", "null", "wrong_type", "negative", "high_below_low", "off_grid", "not_a_list")


@dataclass(frozen=True)
class Fault:
    """One kind of fault, and which requests, symbols or minutes it applies to."""

    kind: str
    path: str = ""  # of requests, a shell pattern; empty: /data/* for archives' own faults, else /api/*
    host: str = "*"  # the Host header, a shell pattern
    symbol: str = "*"
    variant: str = ""
    seconds: float | None = None
    probability: float = 1.0
    skip: int = 0  # how often to let it pass first
    count: int | None = None  # how often to apply it after that
    for_seconds: float | None = None  # after it was added
    start: int | None = None  # ms since 1970, of the minutes concerned
    end: int | None = None  # exclusive

    def __post_init__(self) -> None:
        """Raise UsageError for fields that do not go together."""
        if self.kind not in KINDS:
            raise UsageError(f"'{self.kind}' is not a fault; there are {', '.join(KINDS)}.")
        if not 0 <= self.probability <= 1:
            raise UsageError(f"A fault's probability lies between 0 and 1, not at {self.probability}.")
        if self.kind == "bad_row" and self.variant not in ("", *ROW_VARIANTS):
            raise UsageError(f"'{self.variant}' is not a variant of bad_row; there are {', '.join(ROW_VARIANTS)}.")
        if self.kind == "hole" and (self.start is None or self.end is None):
            raise UsageError("A hole needs start and end, such as hole,start=2026-01-05T10:00Z,end=2026-01-05T11:00Z.")
        if self.kind == "clock_offset" and self.seconds is None:
            raise UsageError("A clock_offset needs seconds, such as clock_offset,seconds=-3.")

    def seconds_or(self, default: float) -> float:
        """Return its seconds, or `default` when it has none."""
        return default if self.seconds is None else self.seconds

    def concerns(self, path: str, host: str) -> bool:
        """Whether the fault applies to a request, by its path and host."""
        pattern = self.path or ("/data/*" if self.kind in ARCHIVE_KINDS else "/api/*")
        return fnmatchcase(path, pattern) and fnmatchcase(host, self.host)

    def covers(self, symbol: str, minute_ms: int) -> bool:
        """Whether the fault applies to a minute of a symbol, its probability left aside."""
        return (
            fnmatchcase(symbol, self.symbol)
            and (self.start is None or minute_ms >= self.start)
            and (self.end is None or minute_ms < self.end)
        )

    def picks(self, symbol: str, minute_ms: int) -> bool:
        """Whether the fault applies to a minute; a probability always picks the same minutes."""
        draw = zlib.crc32(f"{self.kind} {symbol} {minute_ms}".encode()) / 2**32
        return self.covers(symbol, minute_ms) and draw < self.probability

    def as_json(self) -> dict[str, object]:
        """Return the fields that differ from their defaults, as `read_fault` reads them."""
        plain = {field.name: field.default for field in fields(self)}
        values = {name: value for name, value in asdict(self).items() if value != plain[name]}
        return values | {name: to_text(from_milliseconds(values[name])) for name in ("start", "end") if name in values}


def parse_fault(text: str) -> Fault:
    """Read `kind,key=value,…`; raises UsageError with a sentence."""
    kind, *settings = (part.strip() for part in text.split(","))
    values: dict[str, object] = {"kind": kind}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UsageError(f"'{setting}' in the fault '{text}' is not written key=value.")
        values[key.strip()] = value.strip()
    return read_fault(values)


def read_fault(values: Mapping[str, object]) -> Fault:
    """Make a fault from its fields, in which numbers and times may be text; raises UsageError with a sentence."""
    if "kind" not in values:
        raise UsageError(f"A fault needs a kind; there are {', '.join(KINDS)}.")
    readers: dict[str, Callable[[str], object]] = {
        "seconds": float,
        "probability": float,
        "for_seconds": float,
        "skip": int,
        "count": int,
        "start": _parse_milliseconds,
        "end": _parse_milliseconds,
    }
    read: dict[str, Any] = {}
    for name, value in values.items():
        if name not in Fault.__dataclass_fields__:
            raise UsageError(f"'{name}' is not a field of a fault; there are {', '.join(Fault.__dataclass_fields__)}.")
        try:
            read[name] = readers.get(name, str)(str(value))
        except ValueError as error:
            raise UsageError(f"A fault's {name} cannot be '{value}': {error}.") from error
    return Fault(**read)


def _parse_milliseconds(text: str) -> int:
    return to_milliseconds(parse_instant(text, EPOCH))
