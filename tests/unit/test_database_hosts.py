"""A database URL with several hosts, taken apart."""

from urllib.parse import urlsplit

import asyncpg
import pytest

from shared.database.hosts import Hosts, split_hosts


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://api:secret@db/minutebook",
        "postgresql://api:a%2Cb@[::1]:5433/minutebook?target_session_attrs=prefer-standby",
        "postgresql:///minutebook?host=/run/postgresql",
        "postgresql:///minutebook",
    ],
)
def test_one_host_is_left_as_it_is(url: str) -> None:
    """The driver knows best what to do with it."""
    assert split_hosts(url) == [url]


def test_each_host_keeps_the_rest_of_the_url() -> None:
    """Its port, the login, the database and every parameter, in the order given."""
    assert split_hosts(
        "postgresql://api:p%2C%40@one:1,[::1]:2,three/db?sslmode=require&target_session_attrs=primary"
    ) == [
        "postgresql://api:p%2C%40@one:1/db?sslmode=require&target_session_attrs=primary",
        "postgresql://api:p%2C%40@[::1]:2/db?sslmode=require&target_session_attrs=primary",
        "postgresql://api:p%2C%40@three/db?sslmode=require&target_session_attrs=primary",
    ]


@pytest.mark.parametrize(
    ("ports", "expected"),
    [("", ["", ""]), ("&port=5433", ["&port=5433", "&port=5433"]), ("&port=1,2", ["&port=1", "&port=2"])],
)
def test_hosts_and_ports_may_be_parameters(ports: str, expected: list[str]) -> None:
    """One port is every host's."""
    assert split_hosts(f"postgresql:///db?host=one,two{ports}") == [
        f"postgresql:/db?host={host}{port}" for host, port in zip(("one", "two"), expected, strict=True)
    ]


def test_ports_that_do_not_fit_the_hosts_are_refused() -> None:
    """Which is whose cannot be guessed."""
    with pytest.raises(ValueError, match="2 hosts and 3 ports"):
        split_hosts("postgresql:///db?host=one,two&port=1,2,3")


def test_a_standby_is_looked_for_among_all_hosts_before_any_other_is_taken() -> None:
    """The URL of a single host cannot say that."""
    assert split_hosts("postgresql://one,two/db?target_session_attrs=prefer-standby") == [
        "postgresql://one/db?target_session_attrs=standby",
        "postgresql://two/db?target_session_attrs=standby",
        "postgresql://one/db?target_session_attrs=any",
        "postgresql://two/db?target_session_attrs=any",
    ]


class Servers:
    """Stands in for the driver: which hosts answer, which are primaries, what was asked, and what time it is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answering = {"replica": "standby", "primary": "any"}
        self.asked: list[str] = []
        self.now = 1000.0
        monkeypatch.setattr("shared.database.hosts.asyncpg.connect", self.connect)
        monkeypatch.setattr("shared.database.hosts.time.monotonic", lambda: self.now)

    async def connect(self, url: str, **_: object) -> str:
        host = urlsplit(url).hostname or ""
        self.asked.append(host)
        if host not in self.answering:
            raise ConnectionRefusedError("refused")
        if "standby" in url and self.answering[host] != "standby":
            raise asyncpg.TargetServerAttributeNotMatched("not a standby")
        return host


PREFERRING = "postgresql://replica,primary/db?target_session_attrs=prefer-standby"


async def test_a_host_that_failed_comes_after_the_others_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica that is away costs one connection its time and not each; later it is preferred again."""
    servers, hosts = Servers(monkeypatch), Hosts(PREFERRING)
    assert await hosts.connect(1.0) == "replica"  # type: ignore[comparison-overlap] # a stand-in's answer
    del servers.answering["replica"]
    assert await hosts.connect(1.0) == "primary"  # type: ignore[comparison-overlap]
    servers.asked.clear()
    assert await hosts.connect(1.0) == "primary"  # type: ignore[comparison-overlap]
    assert set(servers.asked) == {"primary"}
    servers.answering["replica"] = "standby"
    servers.now += 60
    assert await hosts.connect(1.0) == "replica"  # type: ignore[comparison-overlap]


async def test_when_all_are_away_the_one_that_was_well_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the others once a second, so that one is found as soon as it is back; each is named with its reason."""
    servers, hosts = Servers(monkeypatch), Hosts(PREFERRING)
    del servers.answering["replica"]
    assert await hosts.connect(1.0) == "primary"  # type: ignore[comparison-overlap]
    del servers.answering["primary"]
    servers.asked.clear()
    for _ in range(3):
        with pytest.raises(ConnectionError, match="primary: refused; replica: refused"):
            await hosts.connect(1.0)
    assert servers.asked == ["primary"] * 3
    servers.now += 2
    servers.answering["replica"] = "standby"
    assert await hosts.connect(1.0) == "replica"  # type: ignore[comparison-overlap]
