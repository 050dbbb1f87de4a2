"""Writes the lines of all services to one stream, each line whole and behind its service's name."""

import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import TextIO, cast

NAME = "minutebook"
_RESET = "\033[0m"
_BOLD = "\033[1m"
_COLOURS = tuple(f"\033[{code}m" for code in (36, 33, 35, 32, 34, 31))


class Console:
    """Writes lines to a stream, in colour on a terminal unless NO_COLOR is set.

    With `named=False` it writes the services' lines unchanged and our own sentences as JSON, for programs that read
    them. When the stream can no longer be written, it calls `on_lost` once and writes nothing more.
    """

    def __init__(
        self,
        names: Sequence[str],
        stream: TextIO | None = None,
        *,
        named: bool = True,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._stream = stream or sys.stdout
        self._width = max(map(len, (NAME, *names)))
        in_colour = self._stream.isatty() and not os.environ.get("NO_COLOR")
        colours = (_COLOURS[index % len(_COLOURS)] for index, _ in enumerate(names))
        self._colours = dict(zip(names, colours, strict=True)) | {NAME: _BOLD} if in_colour else {}
        self._named = named
        self._on_lost = on_lost
        self._lost = False

    def show(self, name: str, line: str) -> None:
        """Write a line of the service `name`."""
        if not self._named:
            self._write(line)
            return
        colour = self._colours.get(name, "")
        self._write(f"{colour}{name:<{self._width}} |{_RESET if colour else ''} {line}")

    def say(self, sentence: str) -> None:
        """Write a sentence of the supervisor's."""
        self.show(NAME, sentence if self._named else json.dumps({"service": NAME, "event": sentence}))

    def as_stream(self, name: str) -> TextIO:
        """Return a stream whose lines are shown under `name`."""
        return cast("TextIO", _Lines(lambda line: self.show(name, line)))

    def _write(self, line: str) -> None:
        if self._lost:
            return
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            # The terminal was closed, or the program that reads our pipe has ended.
            self._lost = True
            self._on_lost()


class _Lines(io.TextIOBase):
    """A text stream that passes each complete line to `show`."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._unfinished = ""

    def write(self, text: str) -> int:
        *whole, self._unfinished = (self._unfinished + text).split("\n")
        for line in whole:
            self._show(line)
        return len(text)
