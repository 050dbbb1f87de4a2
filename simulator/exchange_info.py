"""Builds the answer of `/api/v3/exchangeInfo`: the limits, and the traded symbols with their rules."""

from collections.abc import Iterable
from typing import Any

from simulator.limits import Limits

_QUOTES = ("FDUSD", "USDT", "USDC", "TUSD", "BUSD", "BTC", "ETH", "BNB", "EUR", "TRY", "USD")


def build_exchange_info(now_ms: int, limits: Limits, symbols: Iterable[str]) -> dict[str, Any]:
    """Return the answer's JSON object; `now_ms` is the exchange's time."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": [
            _build_limit("REQUEST_WEIGHT", "MINUTE", 1, limits.weight_a_minute),
            _build_limit("ORDERS", "SECOND", 10, 100),
            _build_limit("ORDERS", "DAY", 1, 200_000),
            _build_limit("RAW_REQUESTS", "MINUTE", 5, limits.requests_in_five_minutes),
        ],
        "exchangeFilters": [],
        "symbols": [_build_symbol(symbol) for symbol in symbols],
    }


def _build_limit(kind: str, interval: str, number: int, limit: int) -> dict[str, Any]:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}


def _build_symbol(symbol: str) -> dict[str, Any]:
    quote = next((end for end in _QUOTES if symbol.endswith(end) and symbol != end), symbol[-3:])
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": symbol.removesuffix(quote),
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": "0.01000000",
                "maxPrice": "1000000.00000000",
                "tickSize": "0.01000000",
            },
            {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
        ],
        "permissions": ["SPOT"],
    }
