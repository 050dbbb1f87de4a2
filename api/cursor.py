"""Cursors: a range as it was resolved and the place in it where a page ended, as a text that readers hand back."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from api.problems import ProblemError
from shared.instant import EPOCH, from_milliseconds, to_milliseconds

_VERSION = 1
_EARLIEST = datetime(1973, 1, 1, tzinfo=UTC)
_LATEST = datetime(9000, 1, 2, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Place(NamedTuple):
    """Where a row stands in the order of time; `within` tells rows of one instant apart."""

    instant: datetime
    within: int = 0


@dataclass(frozen=True)
class Cursor:
    """A range of a route and a place in it; `asked` has the parameters that decide which rows are in the range."""

    route: str
    asked: Mapping[str, str]
    symbol: str
    start: datetime
    end: datetime
    place: Place

    def encode(self) -> str:
        """Return the opaque text."""
        content = [
            _VERSION,
            self.route,
            dict(self.asked),
            self.symbol,
            _microseconds(self.start),
            _microseconds(self.end),
            to_milliseconds(self.place.instant),
            self.place.within,
        ]
        return base64.urlsafe_b64encode(orjson.dumps(content)).decode().rstrip("=")


def decode_cursor(text: str, route: str, given: Mapping[str, str]) -> Cursor:
    """Return the cursor that a page of `route` gave.

    Raises ProblemError for anything else, and when a parameter that is `given` with it is not the one it was made with.
    """
    try:
        version, made_for, asked, symbol, start, end, instant, within = _load(text)
        cursor = Cursor(
            route=str(made_for),
            asked={str(name): str(value) for name, value in asked.items()},
            symbol=str(symbol),
            start=_from_microseconds(start),
            end=_from_microseconds(end),
            place=Place(from_milliseconds(instant), int(within)),
        )
    except (ValueError, TypeError, AttributeError, OverflowError, binascii.Error) as error:
        raise make_foreign_cursor_problem() from error
    if version != _VERSION or cursor.route != route or not _EARLIEST <= cursor.start <= cursor.end <= _LATEST:
        raise make_foreign_cursor_problem()
    _check(cursor, given)
    return cursor


def _check(cursor: Cursor, given: Mapping[str, str]) -> None:
    for name, value in given.items():
        asked = cursor.asked.get(name)
        if value != asked:
            made_with = f"{name}={asked}" if asked is not None else f"no {name}"
            raise ProblemError(
                400,
                "invalid-cursor",
                f"The cursor was made with {made_with}, and {name}={value} is given; "
                "begin without a cursor to ask for something else.",
                errors={name: f"not the cursor's ({made_with})"},
            )


def _load(text: str) -> Any:
    padded = text + "=" * (-len(text) % 4)
    return orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))


def make_foreign_cursor_problem() -> ProblemError:
    """The problem of a text that no page gave."""
    return ProblemError(
        400,
        "invalid-cursor",
        "This is not a cursor of this route; use `next_cursor` of the page before, unchanged.",
        errors={"cursor": "not a cursor of this route"},
    )


def _microseconds(instant: datetime) -> int:
    return (instant - EPOCH) // _MICROSECOND


def _from_microseconds(value: int) -> datetime:
    return EPOCH + value * _MICROSECOND
