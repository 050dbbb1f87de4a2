"""Symbols: Binance's own name, such as `BTCUSDT`, or another source's behind its name, such as `coinbase:BTC-USD`."""

import re

BINANCE = "binance"

_BINANCE_NAME = re.compile(r"[A-Z0-9]{1,20}", re.ASCII)
_OTHER_NAME = re.compile(r"[a-z][a-z0-9]{0,19}:[A-Z0-9][A-Z0-9._/-]{0,29}", re.ASCII)


def normalise_symbol(text: str) -> str:
    """Return the symbol as it is stored: the name in upper case, its source's name in lower case.

    Binance's prefix is left out. Raises ValueError, with a sentence, for what no source can list.
    """
    source, colon, name = text.strip().rpartition(":")
    symbol = f"{source.lower()}{colon}{name.upper()}".removeprefix(f"{BINANCE}:")
    # The original too: some letters become ASCII when they change case.
    if not text.isascii() or not (_BINANCE_NAME.fullmatch(symbol) or _OTHER_NAME.fullmatch(symbol)):
        raise ValueError(f"'{text[:60]}' is not a symbol such as BTCUSDT or coinbase:BTC-USD")
    return symbol


def check_symbols(symbols: tuple[str, ...]) -> tuple[str, ...]:
    """Return the symbols as they are stored, without repeats, in the order given; raises ValueError as above."""
    normalised = tuple(dict.fromkeys(map(normalise_symbol, symbols)))
    if not normalised:
        raise ValueError("name at least one symbol, such as BTCUSDT")
    return normalised


def source_of(symbol: str) -> str:
    """Return the name of the source that a symbol is collected from."""
    return symbol.rpartition(":")[0] or BINANCE


def name_at_source(symbol: str) -> str:
    """Return what the source itself calls a symbol."""
    return symbol.rpartition(":")[2]
