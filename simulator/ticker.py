"""The last price, and the statistics of the last 24 hours, in the exchange's shape."""

from typing import Any

from simulator.kline import DAY_MS, MINUTE_MS, UNITS, Integers, unit_text
from simulator.market import Market


def last_price(market: Market, symbol: str) -> dict[str, Any] | None:
    """The close of the newest candle; None where there is none."""
    for page in market.pages(symbol, 0, market.now_ms(), newest_first=True):
        return {"symbol": symbol, "price": page.newest().close}
    return None


def last_day(market: Market, symbol: str) -> dict[str, Any] | None:
    """The 24 hours before now; None without a minute in them."""
    now_ms = market.now_ms()
    pages = [page.units() for page in market.pages(symbol, now_ms - DAY_MS + 1, now_ms)]
    if not pages:
        return None
    opened, closed = int(pages[0]["open"][0]), int(pages[-1]["close"][-1])
    volume, quote = _total([page["volume"] for page in pages]), _total([page["quote_volume"] for page in pages])
    count = _total([page["trades"] for page in pages])
    first_id = int(pages[0]["open_time"][0]) // MINUTE_MS * MINUTE_MS
    return {
        "symbol": symbol,
        "priceChange": unit_text(closed - opened),
        "priceChangePercent": f"{(closed / opened - 1) * 100:.3f}",
        "weightedAvgPrice": unit_text(quote * UNITS // volume if volume else closed),
        "prevClosePrice": unit_text(opened),
        "lastPrice": unit_text(closed),
        "lastQty": unit_text(int(pages[-1]["volume"][-1])),
        "bidPrice": unit_text(closed),
        "bidQty": unit_text(int(pages[-1]["taker_base"][-1])),
        "askPrice": unit_text(closed),
        "askQty": unit_text(int(pages[-1]["taker_base"][-1])),
        "openPrice": unit_text(opened),
        "highPrice": unit_text(max(int(page["high"].max()) for page in pages)),
        "lowPrice": unit_text(min(int(page["low"].min()) for page in pages)),
        "volume": unit_text(volume),
        "quoteVolume": unit_text(quote),
        "openTime": now_ms - DAY_MS,
        "closeTime": now_ms,
        "firstId": first_id,
        "lastId": first_id + count - 1,
        "count": count,
    }


def _total(columns: list[Integers]) -> int:
    return sum(int(column.sum()) for column in columns)
