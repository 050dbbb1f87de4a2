"""What a fault is, how it is written, and when it strikes."""

import pytest

from shared.errors import UsageError
from simulator.fault import KINDS, Fault, parse_fault, read_fault
from simulator.faults import Faults
from tests.simulated import MINUTE_MS, NOON_MS

HOST = "127.0.0.1:9100"


class Watch:
    """A steady clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def strikes(faults: Faults, times: int, path: str = "/api/v3/klines", host: str = HOST) -> list[bool]:
    return [faults.strike_request(("451", "500"), path, host) is not None for _ in range(times)]


def test_the_written_form_is_read() -> None:
    """kind,key=value,… with numbers and times."""
    fault = parse_fault("hole,start=2026-01-05T12:00Z,end=1767618000000,symbol=BTC*")
    assert fault == Fault("hole", symbol="BTC*", start=NOON_MS, end=NOON_MS + 60 * MINUTE_MS)
    assert parse_fault("429, seconds=30, count=2") == Fault("429", seconds=30.0, count=2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("meteor", "is not a fault"),
        ("429,often", "key=value"),
        ("429,colour=red", "not a field"),
        ("429,count=many", "count cannot be 'many'"),
        ("429,probability=2", "between 0 and 1"),
        ("hole", "start and end"),
        ("hole,start=soon,end=later", "is not a time"),
        ("bad_row,variant=upside_down", "not a variant"),
        ("clock_offset", "needs seconds"),
    ],
)
def test_a_fault_that_cannot_be_meant_is_refused_with_a_sentence(text: str, reason: str) -> None:
    """The sentence says what there is."""
    with pytest.raises(UsageError, match=reason):
        parse_fault(text)


def test_a_fault_needs_a_kind() -> None:
    """An object without one is refused."""
    with pytest.raises(UsageError, match="needs a kind"):
        read_fault({"count": 1})


@pytest.mark.parametrize("fault", [Fault("429", seconds=3.0, count=1), Fault("hole", start=NOON_MS, end=NOON_MS + 1)])
def test_what_is_told_of_a_fault_makes_the_same_fault(fault: Fault) -> None:
    """JSON there and back."""
    assert read_fault(fault.as_json()) == fault


def test_a_fault_stands_until_it_is_removed() -> None:
    """Without bounds it strikes every time."""
    faults = Faults()
    number = faults.add("451")
    assert strikes(faults, 3) == [True] * 3
    assert faults.remove(number)
    assert not faults.remove(number)
    assert strikes(faults, 1) == [False]


def test_count_and_skip_choose_which_requests_are_struck() -> None:
    """After `skip` that pass, `count` are struck."""
    assert strikes(Faults(["451,skip=1,count=2"]), 5) == [False, True, True, False, False]


def test_time_ends_a_fault() -> None:
    """`for_seconds` of the machine's time."""
    watch = Watch()
    faults = Faults(["451,for_seconds=5"], seconds=watch)
    watch.now = 104.9
    assert strikes(faults, 1) == [True]
    watch.now = 105.0
    assert strikes(faults, 1) == [False]
    assert faults.describe() == []


def test_path_and_host_choose_which_requests_are_struck() -> None:
    """Shell patterns; only the API's paths unless said."""
    faults = Faults(["451,host=localhost:*", "500,path=/ws*"])
    assert strikes(faults, 1) == [False]
    assert strikes(faults, 1, host="localhost:1") == [True]
    assert strikes(faults, 1, path="/ws/btcusdt@kline_1m") == [True]
    assert strikes(faults, 1, path="/data/x.zip", host="localhost:1") == [False]


def test_chance_is_seeded() -> None:
    """The same seed strikes the same requests, about as often as asked."""
    first, second, other = (strikes(Faults(["451,probability=0.3"], seed), 500) for seed in (1, 1, 2))
    assert first == second != other
    assert 100 < sum(first) < 200


def test_chance_by_minute_is_the_minutes_own() -> None:
    """A correction concerns the same minutes at every reading."""
    fault = Fault("correction", probability=0.5)
    picked = [fault.picks("BTCUSDT", NOON_MS + at * MINUTE_MS) for at in range(400)]
    assert picked == [fault.picks("BTCUSDT", NOON_MS + at * MINUTE_MS) for at in range(400)]
    assert 140 < sum(picked) < 260


def test_every_kind_can_be_written() -> None:
    """The list that the help prints is the list that is understood."""
    extra = {"hole": ",start=2026-01-05,end=2026-01-06", "clock_offset": ",seconds=1"}
    for kind in KINDS:
        assert parse_fault(kind + extra.get(kind, "")).kind == kind
