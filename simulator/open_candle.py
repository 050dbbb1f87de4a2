"""Makes the open candle: a minute as it looks when only part of it has passed.

The price goes from the open through both extremes to the close, in an order and at times that depend only on the
minute, so that all requests at one instant get the same answer. Sums grow with the time passed and stay below the final
ones until the minute ends, so a client that stores an open candle stores a wrong row. Only a minute without trades
looks the same open and closed, as on the exchange.
"""

from decimal import ROUND_DOWN, Decimal

from simulator.kline import MINUTE_MS, Kline

_CORNERS_MS = (0, 17_000, 41_000, MINUTE_MS)


def make_open_candle(kline: Kline, elapsed_ms: int) -> Kline:
    """Return the candle as it was `elapsed_ms` after its open, 0 ≤ `elapsed_ms` < 60,000."""
    open_, high, low, close = (Decimal(text) for text in (kline.open, kline.high, kline.low, kline.close))
    tick = _find_step(open_, high, low, close)
    low_first = (kline.open_time // MINUTE_MS) * 2_654_435_761 % 4_294_967_296 < 2_147_483_648
    corners = (open_, low, high, close) if low_first else (open_, high, low, close)
    reached = [price for at, price in zip(_CORNERS_MS, corners, strict=True) if at <= elapsed_ms]
    start, end = _CORNERS_MS[len(reached) - 1], _CORNERS_MS[len(reached)]
    price = reached[-1] + (corners[len(reached)] - reached[-1]) * (elapsed_ms - start) / (end - start)
    reached.append(price.quantize(tick))
    return kline._replace(
        high=_format_like(max(reached), kline.high),
        low=_format_like(min(reached), kline.low),
        close=_format_like(reached[-1], kline.close),
        volume=_scale(kline.volume, elapsed_ms),
        close_time=kline.open_time + MINUTE_MS - 1,
        quote_volume=_scale(kline.quote_volume, elapsed_ms),
        # Rounded down: as on the exchange, only the closed candle has all trades.
        trades=kline.trades * elapsed_ms // MINUTE_MS,
        taker_base=_scale(kline.taker_base, elapsed_ms),
        taker_quote=_scale(kline.taker_quote, elapsed_ms),
    )


def _find_step(*numbers: Decimal) -> Decimal:
    """Return the largest power of ten, at most 1, of which all numbers are multiples."""
    exponents = [number.normalize().as_tuple().exponent for number in numbers]
    return Decimal(1).scaleb(min(0, *(exponent for exponent in exponents if isinstance(exponent, int))))


def _scale(text: str, elapsed_ms: int) -> str:
    total = Decimal(text)
    return _format_like((total * elapsed_ms / MINUTE_MS).quantize(_find_step(total), rounding=ROUND_DOWN), text)


def _format_like(number: Decimal, text: str) -> str:
    """Return the number as text with as many decimal places as `text` has."""
    return f"{number:.{len(text.partition('.')[2])}f}"
