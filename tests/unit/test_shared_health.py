"""The sign of life of the services without a port."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from shared.health import SILENT_SECONDS_MAX, VARIABLE, find_problem, main, shown_alive


async def test_service_is_alive_while_it_runs_and_not_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As its loop says, and the command asks."""
    file = tmp_path / "alive"
    monkeypatch.setenv(VARIABLE, str(file))
    async with shown_alive(file), asyncio.timeout(5):
        while not file.exists():
            await asyncio.sleep(0.01)
        assert main() == 0
    assert main() == 1


def test_service_that_hangs_is_not_alive(tmp_path: Path) -> None:
    """Its loop no longer touches the file."""
    file = tmp_path / "alive"
    file.touch()
    now = time.time()
    os.utime(file, (now, now - SILENT_SECONDS_MAX - 1))
    problem = f"The service has not touched {file} for {SILENT_SECONDS_MAX + 1:.0f} s: it hangs or has ended."
    assert find_problem(file, now) == problem
    os.utime(file, (now, now - SILENT_SECONDS_MAX + 1))
    assert find_problem(file, now) is None


def test_missing_variable_is_bad_usage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """And says which."""
    monkeypatch.delenv(VARIABLE, raising=False)
    assert main() == 2
    assert VARIABLE in capsys.readouterr().err


async def test_without_a_file_nothing_is_touched() -> None:
    """Outside a container nobody asks."""
    before = asyncio.all_tasks()
    async with shown_alive(None):
        assert asyncio.all_tasks() == before
