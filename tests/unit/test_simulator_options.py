"""The command's options are read, and refused with one sentence."""

from datetime import timedelta
from pathlib import Path

import pytest

from shared.errors import MinutebookError
from shared.instant import parse_instant
from simulator.fault import Fault
from simulator.generator import Generator
from simulator.options import parse_options
from tests.simulated import NOON


def test_everything_has_a_default() -> None:
    """Two symbols from the generator on port 9100, at the machine's time and speed."""
    options = parse_options([], {})
    assert (options.host, options.port, options.speed, options.start) == ("127.0.0.1", 9100, 1.0, None)
    assert options.make_simulator().market.symbols == ("BTCUSDT", "ETHUSDT")


def test_options_are_read() -> None:
    """Faults may be given together or one by one."""
    arguments = ["--symbols", "SOLUSDT", "--seed", "3", "--start", "2026-01-05T12:00Z", "--speed", "60"]
    options = parse_options([*arguments, "--fault", "451,count=1", "503", "--fault", "reset"], {})
    simulator = options.make_simulator()
    assert isinstance(simulator.market.source, Generator)
    assert simulator.market.symbols == ("SOLUSDT",)
    assert options.start == NOON
    assert simulator.faults.standing() == [Fault("451", count=1), Fault("503"), Fault("reset")]


def test_the_environment_says_how_to_log() -> None:
    """LOG_LEVEL and LOG_FORMAT as for every service; an empty one is none."""
    assert parse_options([], {"LOG_LEVEL": "warning", "LOG_FORMAT": "json"}).log_level == "warning"
    assert parse_options([], {"LOG_LEVEL": "", "LOG_FORMAT": ""}).log_format is None
    with pytest.raises(MinutebookError, match="LOG_LEVEL"):
        parse_options([], {"LOG_LEVEL": "loud"})


def test_with_files_the_exchange_stands_at_their_end(tmp_path: Path) -> None:
    """Unless a start is given; the symbol is the one of the file's name."""
    path = tmp_path / "ETHUSDT-1m-2026-01.csv"
    path.write_text("open_time,open,high,low,close,volume\n1767614400000,1,1,1,1,1\n")
    simulator = parse_options(["--data", str(path)], {}).make_simulator()
    assert simulator.market.symbols == ("ETHUSDT",)
    ahead = simulator.clock.now_ms() - 1_767_614_460_000
    assert 0 <= ahead < timedelta(minutes=1) // timedelta(milliseconds=1)
    started = parse_options(["--data", str(path), "--start", "2026-01-01"], {})
    assert started.start == parse_instant("2026-01-01", NOON)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--symbols", "btc usdt"], "--symbols"),
        (["--port", "70000"], "--port"),
        (["--seed", "-1"], "--seed"),
        (["--speed", "0"], "--speed"),
        (["--speed", "nan"], "--speed"),
        (["--start", "1700000000"], "--start"),
        (["--fault", "meteor"], "is not a fault"),
        (["--weight-limit", "0"], "--weight-limit"),
        (["--archives", "absent"], "--archives"),
        (["--data", "a.csv", "--symbols", "BTCUSDT,ETHUSDT"], "--data"),
    ],
)
def test_bad_options_are_refused_with_a_sentence(arguments: list[str], reason: str) -> None:
    """The sentence names what to change."""
    with pytest.raises(MinutebookError, match=reason):
        parse_options(arguments, {})


@pytest.mark.parametrize("arguments", [["--port", "many"], ["--nonsense"], ["--data"], ["--log-level", "loud"]])
def test_what_the_parser_refuses_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """One line on stderr."""
    with pytest.raises(SystemExit) as refused:
        parse_options(arguments, {})
    assert refused.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
