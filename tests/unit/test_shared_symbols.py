"""Symbols of several sources."""

import pytest

from shared.symbols import check_symbols, name_at_source, normalise_symbol, source_of


@pytest.mark.parametrize(
    ("text", "symbol", "source", "name"),
    [
        ("btcusdt", "BTCUSDT", "binance", "BTCUSDT"),
        (" 1000SATSUSDT ", "1000SATSUSDT", "binance", "1000SATSUSDT"),
        ("binance:btcusdt", "BTCUSDT", "binance", "BTCUSDT"),
        ("coinbase:btc-usd", "coinbase:BTC-USD", "coinbase", "BTC-USD"),
        ("Kraken:XBT/USD", "kraken:XBT/USD", "kraken", "XBT/USD"),
    ],
)
def test_a_symbol_has_one_spelling(text: str, symbol: str, source: str, name: str) -> None:
    """Whoever asks may write it in any case; Binance's needs no prefix."""
    assert normalise_symbol(text) == symbol == normalise_symbol(symbol)
    assert (source_of(symbol), name_at_source(symbol)) == (source, name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "BTC-USD",
        "coinbase:",
        ":BTC",
        "a:b:c",
        "coin base:BTC",
        "BTCUSDT\n\x00",
        "x" * 21,
        "ﬁnance:BTC",
        "\uff22TC",
    ],
)
def test_what_no_source_can_list_is_no_symbol(text: str) -> None:
    """A sentence says what is."""
    with pytest.raises(ValueError, match="is not a symbol such as BTCUSDT or coinbase:BTC-USD"):
        normalise_symbol(text)


def test_a_list_has_each_symbol_once_in_its_order() -> None:
    """Two spellings are one symbol."""
    assert check_symbols(("ethusdt", "coinbase:btc-usd", "ETHUSDT", "BTCUSDT")) == (
        "ETHUSDT",
        "coinbase:BTC-USD",
        "BTCUSDT",
    )
    with pytest.raises(ValueError, match="at least one"):
        check_symbols(())
