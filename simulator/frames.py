"""Builds the frames of a stream in the exchange's shape."""

import json
from typing import Any

from simulator.kline import MINUTE_MS, Kline

# Trade numbers are invented: each minute has a range of a million.
_TRADES_A_MINUTE = 1_000_000


def make_stream_name(symbol: str) -> str:
    """Return the name of the stream of a symbol's minutes."""
    return f"{symbol.lower()}@kline_1m"


def make_kline_event(symbol: str, kline: Kline, event_ms: int, *, closed: bool) -> dict[str, Any]:
    """Return the payload of a kline push; `event_ms` is its time, in ms since 1970 UTC."""
    first = kline.open_time // MINUTE_MS * _TRADES_A_MINUTE
    return {
        "e": "kline",
        "E": event_ms,
        "s": symbol,
        "k": {
            "t": kline.open_time,
            "T": kline.close_time,
            "s": symbol,
            "i": "1m",
            "f": first if kline.trades else -1,
            "L": first + kline.trades - 1 if kline.trades else -1,
            "o": kline.open,
            "c": kline.close,
            "h": kline.high,
            "l": kline.low,
            "v": kline.volume,
            "n": kline.trades,
            "x": closed,
            "q": kline.quote_volume,
            "V": kline.taker_base,
            "Q": kline.taker_quote,
            "B": "0",
        },
    }


def make_shutdown_event(event_ms: int) -> dict[str, Any]:
    """Return the payload that announces that the server will disconnect."""
    return {"e": "serverShutdown", "E": event_ms}


def to_frame(event: dict[str, Any], stream: str | None) -> str:
    """Return a payload as JSON text; on a combined connection, `stream` is the name to wrap it with."""
    return json.dumps(event if stream is None else {"stream": stream, "data": event}, separators=(",", ":"))
