"""Query parameters as the exchange reads them; each reader raises ComplaintError."""

import json
import re
from collections.abc import Collection, Mapping

from simulator.complaint import ComplaintError
from simulator.kline import MINUTE_MS

INTERVALS_MS = {
    name: minutes * MINUTE_MS
    for name, minutes in {
        "1m": 1,
        "3m": 3,
        "5m": 5,
        "15m": 15,
        "30m": 30,
        "1h": 60,
        "2h": 120,
        "4h": 240,
        "6h": 360,
        "8h": 480,
        "12h": 720,
        "1d": 1440,
    }.items()
}
LIMIT_DEFAULT, LIMIT_MAX = 500, 1000

_SYMBOL = re.compile(r"[A-Z0-9\-_.]{1,20}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,20}", re.ASCII)


def check_known(query: Mapping[str, str], names: Collection[str]) -> None:
    """Refuse parameters that the route does not have."""
    read = sum(name in names for name in query)
    if read != len(query):
        raise ComplaintError(
            -1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{len(query)}'."
        )


def mandatory(query: Mapping[str, str], name: str) -> str:
    """A parameter that must be sent."""
    value = query.get(name, "")
    if not value:
        raise ComplaintError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return value


def is_symbol(text: str) -> bool:
    """Whether a text could be a symbol's name."""
    return _SYMBOL.fullmatch(text) is not None


def check_symbol(symbol: str, symbols: Collection[str]) -> str:
    """A symbol that is traded."""
    if not is_symbol(symbol):
        raise ComplaintError(
            -1100, "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'."
        )
    if symbol not in symbols:
        raise ComplaintError(-1121, "Invalid symbol.")
    return symbol


def interval_ms(query: Mapping[str, str]) -> int:
    """The length of a candle."""
    try:
        return INTERVALS_MS[mandatory(query, "interval")]
    except KeyError:
        raise ComplaintError(-1120, "Invalid interval.") from None


def whole_number(query: Mapping[str, str], name: str) -> int | None:
    """A number without sign, or None when it was not sent."""
    text = query.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise ComplaintError(
            -1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'."
        )
    return int(text)


def row_limit(query: Mapping[str, str]) -> int:
    """How many rows at most: 500 unless asked, never above 1,000."""
    limit = whole_number(query, "limit")
    if limit == 0:
        raise ComplaintError(-1130, "Data sent for parameter 'limit' is not valid.")
    return LIMIT_DEFAULT if limit is None else min(limit, LIMIT_MAX)


def asked_symbols(query: Mapping[str, str], symbols: Collection[str]) -> list[str]:
    """The symbols of `symbol`, of the JSON list `symbols`, or all that are traded."""
    if "symbol" in query and "symbols" in query:
        raise ComplaintError(-1128, "Combination of optional parameters invalid.")
    if "symbol" in query:
        return [check_symbol(mandatory(query, "symbol"), symbols)]
    if "symbols" not in query:
        return list(symbols)
    try:
        asked = json.loads(query["symbols"])
    except ValueError:
        asked = None
    if not isinstance(asked, list) or not asked or not all(isinstance(name, str) for name in asked):
        raise ComplaintError(-1100, "Illegal characters found in parameter 'symbols'.")
    return [check_symbol(name, symbols) for name in asked]
