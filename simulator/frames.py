"""What a stream sends: a kline frame in the exchange's shape, its faults included."""

import json
from typing import Any

from simulator.kline import MINUTE_MS, Kline

# Trade numbers are invented: each minute has room for a million.
_TRADES_A_MINUTE = 1_000_000


def stream_name(symbol: str) -> str:
    """The name under which a symbol's minutes are subscribed."""
    return f"{symbol.lower()}@kline_1m"


def kline_event(symbol: str, kline: Kline, event_ms: int, *, closed: bool) -> dict[str, Any]:
    """The payload of a kline push."""
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


def shutdown_event(event_ms: int) -> dict[str, Any]:
    """The announcement that the server will disconnect."""
    return {"e": "serverShutdown", "E": event_ms}


def to_frame(event: dict[str, Any], stream: str | None) -> str:
    """A payload as text, wrapped with its stream's name on a combined connection."""
    return json.dumps(event if stream is None else {"stream": stream, "data": event}, separators=(",", ":"))
