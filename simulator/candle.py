"""The candle that is still open: what a minute looks like when only part of it has passed.

The price walks from the open through both extremes to the close, in an order and at times that depend on the minute
alone, so that every question at the same instant has the same answer. Sums grow with the time passed and are below the
final ones until the minute ends: whoever stores an open candle stores a row that is wrong. Only a minute without any
trade looks the same open and closed, as it does on the exchange.
"""

from decimal import ROUND_DOWN, Decimal

from simulator.kline import MINUTE_MS, Kline

_CORNERS_MS = (0, 17_000, 41_000, MINUTE_MS)


def partial_kline(kline: Kline, elapsed_ms: int) -> Kline:
    """The candle as it stood `elapsed_ms` after its open, 0 ≤ elapsed < 60,000."""
    open_, high, low, close = (Decimal(text) for text in (kline.open, kline.high, kline.low, kline.close))
    tick = _step(open_, high, low, close)
    low_first = (kline.open_time // MINUTE_MS) * 2_654_435_761 % 4_294_967_296 < 2_147_483_648
    corners = (open_, low, high, close) if low_first else (open_, high, low, close)
    reached = [price for at, price in zip(_CORNERS_MS, corners, strict=True) if at <= elapsed_ms]
    start, end = _CORNERS_MS[len(reached) - 1], _CORNERS_MS[len(reached)]
    price = reached[-1] + (corners[len(reached)] - reached[-1]) * (elapsed_ms - start) / (end - start)
    reached.append(price.quantize(tick))
    return kline._replace(
        high=_like(max(reached), kline.high),
        low=_like(min(reached), kline.low),
        close=_like(reached[-1], kline.close),
        volume=_share(kline.volume, elapsed_ms),
        close_time=kline.open_time + MINUTE_MS - 1,
        quote_volume=_share(kline.quote_volume, elapsed_ms),
        # Rounded down: as at the exchange, a candle that has all its trades is the final one.
        trades=kline.trades * elapsed_ms // MINUTE_MS,
        taker_base=_share(kline.taker_base, elapsed_ms),
        taker_quote=_share(kline.taker_quote, elapsed_ms),
    )


def _step(*numbers: Decimal) -> Decimal:
    """The coarsest power of ten, at most 1, that all numbers are multiples of."""
    exponents = [number.normalize().as_tuple().exponent for number in numbers]
    return Decimal(1).scaleb(min(0, *(exponent for exponent in exponents if isinstance(exponent, int))))


def _share(text: str, elapsed_ms: int) -> str:
    total = Decimal(text)
    return _like((total * elapsed_ms / MINUTE_MS).quantize(_step(total), rounding=ROUND_DOWN), text)


def _like(number: Decimal, text: str) -> str:
    """The number with as many places as the text has."""
    return f"{number:.{len(text.partition('.')[2])}f}"
