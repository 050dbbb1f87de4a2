"""The protocol of a source: what an exchange gives to the collector, in the collector's own types.

`name` is always what the source itself calls a symbol, without the source's prefix. A method that asks the exchange
passes the source's gate, and raises ExchangeUnreachableError where the exchange does not answer, ExchangeRefusedError
where it answers that the question is wrong, and Stopping where the service stops first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from collector.copy_text import CopyText
from collector.klines import Kline, KlinePage, Refusal
from collector.sources.clock import ExchangeClock
from collector.sources.request_gate import RequestGate
from shared.instant import MINUTE
from shared.runs import Run


@dataclass
class BulkRows:
    """The rows of a bulk file in chunks, with what was refused so far."""

    chunks: Iterator[list[Kline]]
    refused: list[Refusal] = field(default_factory=list)


class BulkFile(Protocol):
    """A file of very many minutes of one symbol, which the source publishes beside its answers."""

    @property
    def name(self) -> str:
        """The name that the log shows."""

    async def fetch(self) -> bytes | None:
        """Return the content, checked as far as the source can; None where it cannot be used, now and later."""

    def make_copy_text(self, content: bytes, asked: Run, symbol: str) -> CopyText:
        """Turn the minutes of `asked` into rows of `symbol` for COPY, with the source's label; work for a thread.

        Raises UnusualRowError for what only `read_rows` can judge, ArchiveCorruptError for what is no such file.
        """

    def read_rows(self, content: bytes, asked: Run) -> BulkRows:
        """Read the minutes of `asked` row by row; raises ArchiveCorruptError, also while the chunks are read."""

    def finish(self) -> None:
        """Note that its minutes are stored, so that it is offered no more."""

    def distrust(self, reason: str) -> None:
        """Note that it is damaged, so that it is offered no more."""


class Part(NamedTuple):
    """The newest minutes of a hole, and the file to take them from; None: from pages."""

    minutes: Run
    file: BulkFile | None


@dataclass(frozen=True)
class CloseListener:
    """What a stream passes its messages to, by the source's names of symbols."""

    take: Callable[[str, Kline], Awaitable[None]]
    refuse: Callable[[str, Refusal], None]


class Source(Protocol):
    """One exchange."""

    @property
    def name(self) -> str:
        """The name of its folder, by which its symbols begin."""

    @property
    def label(self) -> str:
        """What its rows are labelled with."""

    @property
    def clock(self) -> ExchangeClock:
        """The exchange's clock, which alone decides that a minute is closed."""

    @property
    def gate(self) -> RequestGate:
        """What every request passes: the exchange's limits and pauses."""

    @property
    def page_minutes(self) -> int:
        """How many minutes are worth asking for at once."""

    async def measure_time(self) -> None:
        """Ask for the exchange's time and teach it to the clock."""

    async def learn_limits(self, names: Sequence[str]) -> None:
        """Ask for the exchange's limits and obey them; raises UsageError for a symbol that it does not list."""

    async def probe_hosts(self) -> None:
        """Ask hosts that failed a while ago whether they are well again."""

    async def fetch_page(self, name: str, asked: Run, *, urgent: bool = False) -> KlinePage:
        """Return what one question for `asked`, at most `page_minutes` long, brings.

        The rows may lie outside of `asked`, and hold the candle that is still open. Where they are fewer than there
        are, their order says at which end they begin: rows from old to new are the oldest, rows from new to
        old the newest. In any other order they may be any, and what lies before and after them is asked for too.
        """

    async def find_history_end(self, name: str, before: datetime) -> datetime:
        """Return the end of the newest minute before `before`, or the first instant where the record begins later.

        `before` itself where the exchange cannot tell.
        """

    def choose_part(self, name: str, hole: Run) -> Part:
        """Return the newest part of a hole that is to be fetched at once, by a file where one pays."""

    async def follow_closes(self, names: Sequence[str], listener: CloseListener, stop: asyncio.Event) -> None:
        """Tell of each minute as it closes, until `stop`; return where the exchange has no such stream."""


def cut_newest_page(hole: Run, page_minutes: int) -> Run:
    """Return the newest page of a hole."""
    return next(cut_pages(hole, page_minutes))


def cut_pages(hole: Run, page_minutes: int) -> Iterator[Run]:
    """Cut a hole into pages, newest first."""
    end = hole.end
    while end > hole.start:
        start = max(hole.start, end - page_minutes * MINUTE)
        yield Run(start, end)
        end = start
