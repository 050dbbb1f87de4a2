"""What a log line holds, for people and for machines."""

import json
import subprocess
import sys

import pytest

from tests.processes import ROOT

PROGRAM = """
import logging, sys
from shared.logging import configure_logging, get_logger

configure_logging("test", "info", sys.argv[1])
password = "not for the log"
try:
    raise ConnectionResetError(104, "the server went away\\nand more")
except ConnectionResetError:
    logging.getLogger("asyncpg").exception("in a library")
    get_logger("collector").info("plain_event", count=3)
    if sys.argv[2] == "ours":
        get_logger("collector").exception("ours_failed")
"""


def logged(log_format: str, whose: str = "theirs") -> str:
    """What a process of its own writes, since the set-up is a process's."""
    command = [sys.executable, "-c", PROGRAM, log_format, whose]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_exception_of_a_library_is_one_line(log_format: str) -> None:
    """With what was raised, and neither a traceback nor a local's value."""
    lines = logged(log_format).splitlines()
    assert len(lines) == 2
    assert "in a library" in lines[0]
    assert "ConnectionResetError: [Errno 104] the server went away" in lines[0]
    assert "Traceback" not in lines[0]
    assert "not for the log" not in lines[0]


def test_line_for_machines_is_an_object_with_the_fields() -> None:
    """And level, time and service."""
    entry = json.loads(logged("json").splitlines()[1])
    assert entry.pop("timestamp").endswith("Z")
    assert entry == {"event": "plain_event", "count": 3, "level": "info", "service": "test"}


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_exception_of_ours_has_its_traceback_without_locals(log_format: str) -> None:
    """It is a bug of ours to find; drawn boxes and values do not help with that."""
    text = logged(log_format, "ours")
    assert "ours_failed" in text
    assert "line " in text or "lineno" in text
    assert "not for the log" not in text
    assert "│" not in text
