"""A service as a child process: pauses, endings and its lines."""

import io
import os
import signal
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.console import Console
from deploy.local.service import RestartPauses, Service, describe_exit, keep_services_running
from tests.processes import until


def test_pauses_double_up_to_a_bound() -> None:
    """A service that cannot run is not tried ever faster, nor given up."""
    pauses = RestartPauses()
    assert [pauses.next_after(0.1) for _ in range(8)] == [1, 2, 4, 8, 16, 30, 30, 30]


def test_pause_is_short_again_after_a_good_run() -> None:
    """What ran for a minute was well."""
    pauses = RestartPauses()
    for _ in range(6):
        pauses.next_after(0.1)
    assert [pauses.next_after(60), pauses.next_after(0.1)] == [1, 2]


@given(st.lists(st.floats(min_value=0, max_value=1e6)))
def test_pause_is_always_bounded(runs: list[float]) -> None:
    """Whatever happened before."""
    pauses = RestartPauses()
    assert all(1 <= pauses.next_after(seconds) <= 30 for seconds in runs)


@pytest.mark.parametrize(
    ("code", "text"),
    [(0, "exit code 0"), (2, "exit code 2"), (-signal.SIGKILL, "SIGKILL"), (-250, "signal 250")],
)
def test_ending_is_said_in_words(code: int, text: str) -> None:
    """A signal by its name."""
    assert describe_exit(code) == text


def script(name: str, code: str) -> Service:
    """Return a service that runs Python code."""
    return Service(name, (sys.executable, "-c", code), dict(os.environ), stop_seconds=2.0)


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("print('one'); print('two', flush=True)", "api        | one\napi        | two\n"),
        ("import sys; sys.stderr.write('trouble\\n')", "api        | trouble\n"),
        ("print('no end', end='')", "api        | no end\n"),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe!\\r\\n')", "api        | \ufffd\ufffd!\n"),
    ],
)
async def test_everything_that_it_writes_is_shown(code: str, shown: str) -> None:
    """Both streams, line by line, in whatever bytes, to the last one before its end."""
    stream = io.StringIO()
    async with keep_services_running([script("api", code)], Console(["api"], stream)):
        await until(lambda: "ended" in stream.getvalue())
    assert stream.getvalue().startswith(shown + "minutebook | api ended (exit code 0); starting it again in 1 s.\n")


async def test_line_without_an_end_does_not_fill_the_memory() -> None:
    """It is shown in pieces, and nothing of it is lost."""
    stream = io.StringIO()
    code = "import sys; sys.stdout.write('x' * 1_000_000)"
    async with keep_services_running([script("api", code)], Console(["api"], stream)):
        await until(lambda: "ended" in stream.getvalue())
    lines = [line.removeprefix("api        | ") for line in stream.getvalue().splitlines() if line.startswith("api")]
    assert "".join(lines) == "x" * 1_000_000
    assert len(lines) > 1


async def test_pause_grows_with_every_failure() -> None:
    """And each is said with how the service ended."""
    stream = io.StringIO()
    async with keep_services_running([script("api", "raise SystemExit(3)")], Console(["api"], stream)):
        await until(lambda: "api ended (exit code 3); starting it again in 2 s." in stream.getvalue())
    assert "api ended (exit code 3); starting it again in 1 s." in stream.getvalue()


async def test_command_that_does_not_exist_is_said() -> None:
    """It is the first word that is missing."""
    stream = io.StringIO()
    async with keep_services_running([Service("api", ("/nowhere/api",), {})], Console(["api"], stream)):
        await until(lambda: "api ended (" in stream.getvalue())
    assert "/nowhere/api" in stream.getvalue()
