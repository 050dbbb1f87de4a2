"""What a run shows on the terminal."""

import io

import pytest

from deploy.local.console import Console


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


class Closed(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, text: str) -> int:
        """Fail as a pipe does."""
        raise BrokenPipeError(32, "Broken pipe")


def test_lines_stand_behind_padded_names() -> None:
    """All lines begin in the same column."""
    shown = io.StringIO()
    console = Console(["api", "collector"], shown)
    console.show("api", "one")
    console.show("collector", "two")
    console.say("three")
    assert shown.getvalue() == "api        | one\ncollector  | two\nminutebook | three\n"


def test_names_are_coloured_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line itself is left as it is; NO_COLOR is obeyed."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    Console(["api"], terminal).show("api", "one")
    assert terminal.getvalue() == "\033[36mapi        |\033[0m one\n"
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    Console(["api"], terminal).show("api", "one")
    assert terminal.getvalue() == "api        | one\n"


def test_lines_for_programs_go_out_as_they_came() -> None:
    """JSON stays JSON, and our own sentences become it."""
    shown = io.StringIO()
    console = Console(["api"], shown, named=False)
    console.show("api", '{"event": "ready"}')
    console.say("Stopping.")
    assert shown.getvalue() == '{"event": "ready"}\n{"service": "minutebook", "event": "Stopping."}\n'


def test_stream_of_a_name_shows_whole_lines() -> None:
    """A line may be written in pieces."""
    shown = io.StringIO()
    stream = Console(["api"], shown).as_stream("api")
    for piece in ("on", "e\ntw", "o\n", "three"):
        stream.write(piece)
    assert shown.getvalue() == "api        | one\napi        | two\n"


def test_lost_reader_is_told_once() -> None:
    """A run whose output nobody can read is to end, and not to fail."""
    lost: list[bool] = []
    console = Console(["api"], Closed(), on_lost=lambda: lost.append(True))
    console.say("one")
    console.say("two")
    assert lost == [True]
