"""Where minutes come from: what a generator and a set of files have in common."""

from typing import Protocol

from simulator.kline import Day


class Source(Protocol):
    """Final minutes by UTC day; a day's number counts days since 1970."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols it has, in order."""
        ...

    @property
    def days(self) -> range:
        """The numbers of the days between the first and the last minute."""
        ...

    def day(self, symbol: str, number: int) -> Day:
        """All minutes of a day, also those that the clock has not reached; empty where there is none."""
        ...
