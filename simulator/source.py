"""The protocol of a source of minutes, which the generator and the minute files follow."""

from typing import Protocol

from simulator.kline import Day


class Source(Protocol):
    """A source of final minutes by UTC day; a day's number counts days since 1970."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that it has, in order."""
        ...

    @property
    def days(self) -> range:
        """The numbers of the days from the first minute's to the last minute's."""
        ...

    def day(self, symbol: str, number: int) -> Day:
        """Return all minutes of a day, also those after the clock's time; an empty day when there are none."""
        ...
