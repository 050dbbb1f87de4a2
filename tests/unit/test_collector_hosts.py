"""The hosts: which one is asked, and when one that failed is trusted again."""

from collector.sources.hosts import FIRST_REST_SECONDS, LONGEST_REST_SECONDS, Hosts
from tests.fake_time import FakeTime

URLS = ("http://a", "http://b", "http://c")


def test_first_host_is_asked_while_it_is_well() -> None:
    """The order given is the order of preference."""
    hosts = Hosts(URLS, FakeTime(step_seconds=0.001))
    assert {hosts.choose().url for _ in range(5)} == {"http://a"}


def test_host_that_failed_is_left_out_until_it_is_found_well() -> None:
    """Time alone does not make it well: no live request has to find out."""
    time = FakeTime(step_seconds=0.001)
    hosts = Hosts(URLS, time)
    first = hosts.choose()
    hosts.note_failure(first)
    time.seconds += 10_000
    assert hosts.choose().url == "http://b"
    hosts.note_success(first)
    assert hosts.choose().url == "http://a"


def test_with_none_well_all_are_tried_in_turn() -> None:
    """The one tried longest ago comes first."""
    hosts = Hosts(URLS, FakeTime(step_seconds=0.001))
    tried = []
    for _ in range(9):
        host = hosts.choose()
        tried.append(host.url)
        hosts.note_failure(host)
    assert tried == list(URLS) * 3


def test_only_better_hosts_that_have_rested_are_probed() -> None:
    """A probe of one behind the host in use would be for nothing."""
    time = FakeTime(step_seconds=0.001)
    hosts = Hosts(URLS, time)
    assert hosts.list_due_for_probe() == []
    hosts.note_failure(hosts.choose())
    assert hosts.list_due_for_probe() == []
    time.seconds += FIRST_REST_SECONDS
    assert [host.url for host in hosts.list_due_for_probe()] == ["http://a"]


def test_rest_grows_with_each_failure_to_a_bound() -> None:
    """A host that stays down is asked ever more rarely."""
    time = FakeTime(step_seconds=0.001)
    hosts = Hosts(URLS, time)
    host = hosts.choose()
    rests = []
    for _ in range(40):
        hosts.note_failure(host)
        rests.append(host.rests_until - time.seconds)
    assert rests == sorted(rests)
    assert rests[0] == FIRST_REST_SECONDS
    assert rests[-1] == LONGEST_REST_SECONDS
