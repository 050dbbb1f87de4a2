"""A second source beside Binance, in the shapes of Coinbase Exchange: found by its folder, as every source is."""
