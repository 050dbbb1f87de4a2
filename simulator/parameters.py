"""Reads query parameters as the exchange does; each reader raises RequestError."""

import json
import re
from collections.abc import Collection, Mapping

from simulator.kline import MINUTE_MS
from simulator.request_error import RequestError

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
    """Raise RequestError when the query has other parameters than these."""
    known = sum(name in names for name in query)
    if known != len(query):
        raise RequestError(
            -1104, f"Not all sent parameters were read; read '{known}' parameter(s) but was sent '{len(query)}'."
        )


def read_mandatory(query: Mapping[str, str], name: str) -> str:
    """Return a parameter that must be sent."""
    value = query.get(name, "")
    if not value:
        raise RequestError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return value


def is_symbol(text: str) -> bool:
    """Whether a text is written as a symbol's name."""
    return _SYMBOL.fullmatch(text) is not None


def check_symbol(symbol: str, symbols: Collection[str]) -> str:
    """Return `symbol`; raises RequestError when it is not one of `symbols`."""
    if not is_symbol(symbol):
        raise RequestError(
            -1100, "Illegal characters found in parameter 'symbol'; legal range is '^[A-Z0-9-_.]{1,20}$'."
        )
    if symbol not in symbols:
        raise RequestError(-1121, "Invalid symbol.")
    return symbol


def read_interval_ms(query: Mapping[str, str]) -> int:
    """Return the length of a candle in ms."""
    try:
        return INTERVALS_MS[read_mandatory(query, "interval")]
    except KeyError:
        raise RequestError(-1120, "Invalid interval.") from None


def read_whole_number(query: Mapping[str, str], name: str) -> int | None:
    """Return a number without a sign, None when it was not sent."""
    text = query.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise RequestError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
    return int(text)


def read_row_limit(query: Mapping[str, str]) -> int:
    """Return the largest number of rows to answer: 500 by default, and at most 1,000."""
    limit = read_whole_number(query, "limit")
    if limit == 0:
        raise RequestError(-1130, "Data sent for parameter 'limit' is not valid.")
    return LIMIT_DEFAULT if limit is None else min(limit, LIMIT_MAX)


def read_symbols(query: Mapping[str, str], symbols: Collection[str]) -> list[str]:
    """Return the symbol of `symbol`, those of the JSON list `symbols`, or all traded ones."""
    if "symbol" in query and "symbols" in query:
        raise RequestError(-1128, "Combination of optional parameters invalid.")
    if "symbol" in query:
        return [check_symbol(read_mandatory(query, "symbol"), symbols)]
    if "symbols" not in query:
        return list(symbols)
    try:
        names = json.loads(query["symbols"])
    except ValueError:
        names = None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise RequestError(-1100, "Illegal characters found in parameter 'symbols'.")
    return [check_symbol(name, symbols) for name in names]
