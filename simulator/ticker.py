"""Computes the tickers in the exchange's shape: the last price, and the statistics of the last 24 hours."""

from typing import Any

from simulator.kline import DAY_MS, MINUTE_MS, UNITS, Integers, format_units
from simulator.market import Market


def find_last_price(market: Market, symbol: str) -> dict[str, Any] | None:
    """Return the close of the newest candle; None when there is none."""
    for page in market.pages(symbol, 0, market.now_ms(), newest_first=True):
        return {"symbol": symbol, "price": page.newest().close}
    return None


def compute_last_day(market: Market, symbol: str) -> dict[str, Any] | None:
    """Return the statistics of the 24 hours before now; None when they have no minute."""
    now_ms = market.now_ms()
    pages = [page.units() for page in market.pages(symbol, now_ms - DAY_MS + 1, now_ms)]
    if not pages:
        return None
    opened, closed = int(pages[0]["open"][0]), int(pages[-1]["close"][-1])
    volume, quote = (
        _sum_columns([page["volume"] for page in pages]),
        _sum_columns([page["quote_volume"] for page in pages]),
    )
    count = _sum_columns([page["trades"] for page in pages])
    first_id = int(pages[0]["open_time"][0]) // MINUTE_MS * MINUTE_MS
    return {
        "symbol": symbol,
        "priceChange": format_units(closed - opened),
        "priceChangePercent": f"{(closed / opened - 1) * 100:.3f}",
        "weightedAvgPrice": format_units(quote * UNITS // volume if volume else closed),
        "prevClosePrice": format_units(opened),
        "lastPrice": format_units(closed),
        "lastQty": format_units(int(pages[-1]["volume"][-1])),
        "bidPrice": format_units(closed),
        "bidQty": format_units(int(pages[-1]["taker_base"][-1])),
        "askPrice": format_units(closed),
        "askQty": format_units(int(pages[-1]["taker_base"][-1])),
        "openPrice": format_units(opened),
        "highPrice": format_units(max(int(page["high"].max()) for page in pages)),
        "lowPrice": format_units(min(int(page["low"].min()) for page in pages)),
        "volume": format_units(volume),
        "quoteVolume": format_units(quote),
        "openTime": now_ms - DAY_MS,
        "closeTime": now_ms,
        "firstId": first_id,
        "lastId": first_id + count - 1,
        "count": count,
    }


def _sum_columns(columns: list[Integers]) -> int:
    return sum(int(column.sum()) for column in columns)
