"""Cursors: where the next page begins, and the range as it was resolved, so that `24h` does not move between pages."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from pydantic import BaseModel

from api.problems import ProblemError
from shared.instant import EPOCH, from_milliseconds, to_milliseconds

_VERSION = 1
_LATEST = datetime(9000, 1, 2, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Cursor:
    """A place in one walk: `asked` has the parameters that decide which rows are walked, as the reader wrote them.

    Where several rows have one position, `within` says which of them was the last.
    """

    route: str
    asked: Mapping[str, str]
    symbol: str
    start: datetime
    end: datetime
    position: datetime
    within: int = 0

    def encode(self) -> str:
        """Return the opaque text."""
        content = [
            _VERSION,
            self.route,
            dict(self.asked),
            self.symbol,
            _microseconds(self.start),
            _microseconds(self.end),
            to_milliseconds(self.position),
            self.within,
        ]
        return base64.urlsafe_b64encode(orjson.dumps(content)).decode().rstrip("=")


def deciding_parameters(query: BaseModel, names: Iterable[str]) -> dict[str, str]:
    """Return those of the parameters that were given, for `Cursor.asked`: they decide which rows are walked."""
    given = {name: str(getattr(query, name)) for name in names if name in query.model_fields_set}
    return given | {"symbol": given["symbol"].upper()} if "symbol" in given else given


def decode_cursor(text: str, route: str, given: Mapping[str, str]) -> Cursor:
    """Return the cursor that a page of `route` gave.

    Raises ProblemError for anything else, and when a deciding parameter that is given with it is not the walk's.
    """
    try:
        version, made_for, asked, symbol, start, end, position, within = _load(text)
        cursor = Cursor(
            route=str(made_for),
            asked={str(name): str(value) for name, value in asked.items()},
            symbol=str(symbol),
            start=_from_microseconds(start),
            end=_from_microseconds(end),
            position=from_milliseconds(position),
            within=int(within),
        )
    except (ValueError, TypeError, AttributeError, OverflowError, binascii.Error) as error:
        raise foreign_cursor() from error
    if version != _VERSION or cursor.route != route or not cursor.start <= cursor.end <= _LATEST:
        raise foreign_cursor()
    _check(cursor, given)
    return cursor


def _check(cursor: Cursor, given: Mapping[str, str]) -> None:
    for name, value in given.items():
        asked = cursor.asked.get(name)
        if value != asked:
            walk = f"{name}={asked}" if asked is not None else f"no {name}"
            raise ProblemError(
                400,
                "invalid-cursor",
                f"The cursor belongs to a walk with {walk}, and {name}={value} is given; "
                "begin without a cursor to ask for something else.",
                errors={name: f"not the cursor's ({walk})"},
            )


def _load(text: str) -> Any:
    padded = text + "=" * (-len(text) % 4)
    return orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))


def foreign_cursor() -> ProblemError:
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
