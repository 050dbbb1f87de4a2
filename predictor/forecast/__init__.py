"""The forecast itself: features of minutes in, a distribution of the price out; no network, file or database."""
