"""The usual price and volume of each generated symbol."""

import zlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """A symbol's usual price and volume, and the decimal places of its prices and volumes."""

    price: float
    volume_a_minute: float
    price_places: int = 2
    volume_places: int = 5


PROFILES = {
    "BTCUSDT": Profile(60_000.0, 14.0),
    "ETHUSDT": Profile(3_000.0, 190.0, volume_places=4),
    "BNBUSDT": Profile(600.0, 40.0, volume_places=3),
    "SOLUSDT": Profile(150.0, 900.0, volume_places=3),
}


def find_profile(symbol: str) -> Profile:
    """Return the symbol's profile; for an unknown symbol its name decides a price from 10 to 1,000."""
    if symbol in PROFILES:
        return PROFILES[symbol]
    price = 10 ** (1 + compute_symbol_number(symbol) % 1000 / 500)
    return Profile(price, 500_000 / price)


def compute_symbol_number(symbol: str) -> int:
    """Return a number that depends on the symbol's name, for seeds."""
    return zlib.crc32(symbol.encode())
