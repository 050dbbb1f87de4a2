"""Sources of klines: a folder for each exchange, and what they are built of.

The name of a folder is the source's name, by which its symbols begin (`coinbase:BTC-USD`; Binance's go without). It
exposes `SourceSettings`, a settings class, and `open_source(settings, stop)`, which opens the source, a
`collector.sources.source.Source`. Nothing else has to name it.
"""
