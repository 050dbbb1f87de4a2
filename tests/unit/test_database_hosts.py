"""A database URL with several hosts, taken apart."""

from types import SimpleNamespace
from typing import cast
from urllib.parse import urlsplit

import asyncpg
import pytest

from shared.database.hosts import DatabaseHosts, split_hosts


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


class Login:
    """Stands in for a connection."""

    def __init__(self, host: str, *, is_standby: bool) -> None:
        self.host = host
        self.is_open = True
        self._settings = SimpleNamespace(in_hot_standby="on" if is_standby else "off")

    def get_settings(self) -> SimpleNamespace:
        return self._settings

    def terminate(self) -> None:
        self.is_open = False


class Servers:
    """Stands in for the driver: which hosts answer, which are standbys, what was asked, and what time it is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answering = {"replica": True, "primary": False}
        self.asked: list[str] = []
        self.shares: list[float] = []
        self.logins: list[Login] = []
        self.now = 1000.0
        monkeypatch.setattr("shared.database.hosts.asyncpg.connect", self.connect)
        monkeypatch.setattr("shared.database.hosts.time.monotonic", lambda: self.now)

    async def connect(self, url: str, *, timeout: float, **_: object) -> Login:  # noqa: ASYNC109 - the driver's name
        host = urlsplit(url).hostname or ""
        self.asked.append(host)
        self.shares.append(timeout)
        if host not in self.answering:
            raise ConnectionRefusedError("refused")
        if host == "locked":
            raise asyncpg.InvalidPasswordError("wrong")
        self.logins.append(Login(host, is_standby=self.answering[host]))
        return self.logins[-1]

    async def connected(self, hosts: DatabaseHosts) -> str:
        """Connect, and return to which host; no other login is left open."""
        login = cast("Login", await hosts.connect(3.0))
        assert [each for each in self.logins if each.is_open] == [login]
        self.logins.clear()
        return login.host


PREFERRING = "postgresql://replica,primary/db?target_session_attrs=prefer-standby"


async def test_a_host_that_failed_comes_after_the_others_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica that is away costs one connection its time and not each; later it is preferred again."""
    servers, hosts = Servers(monkeypatch), DatabaseHosts(PREFERRING)
    assert await servers.connected(hosts) == "replica"
    del servers.answering["replica"]
    assert await servers.connected(hosts) == "primary"
    servers.asked.clear()
    assert await servers.connected(hosts) == "primary"
    assert servers.asked == ["primary"]
    servers.answering["replica"] = True
    servers.now += 60
    assert await servers.connected(hosts) == "replica"


async def test_when_all_are_away_the_one_that_was_well_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the others once a second, so that one is found as soon as it is back; each is named with its reason."""
    servers, hosts = Servers(monkeypatch), DatabaseHosts(PREFERRING)
    del servers.answering["replica"]
    assert await servers.connected(hosts) == "primary"
    del servers.answering["primary"]
    servers.asked.clear()
    for _ in range(3):
        with pytest.raises(ConnectionError, match="primary: refused; replica: refused"):
            await hosts.connect(1.0)
    assert servers.asked == ["primary"] * 3
    servers.now += 2
    servers.answering["replica"] = True
    assert await servers.connected(hosts) == "replica"


@pytest.mark.parametrize("url", [PREFERRING, "postgresql://primary,replica/db?target_session_attrs=prefer-standby"])
async def test_a_standby_is_looked_for_among_all_hosts_with_one_login_each(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """Before the first that answered is taken; and each has its full share of the time."""
    servers, hosts = Servers(monkeypatch), DatabaseHosts(url)
    assert await servers.connected(hosts) == "replica"
    del servers.answering["replica"]
    servers.asked.clear()
    servers.shares.clear()
    servers.now += 60
    assert await servers.connected(hosts) == "primary"
    assert sorted(servers.asked) == ["primary", "replica"]
    assert servers.shares == [1.5, 3.0]
    servers.answering = {"replica": False, "primary": False}
    assert await servers.connected(DatabaseHosts(url)) == urlsplit(url).netloc.partition(",")[0]


async def test_login_in_hand_is_given_back_when_the_search_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong password is wrong everywhere."""
    servers = Servers(monkeypatch)
    servers.answering["locked"] = True
    with pytest.raises(asyncpg.InvalidPasswordError):
        await DatabaseHosts("postgresql://primary,locked/db?target_session_attrs=prefer-standby").connect(1.0)
    assert [(login.host, login.is_open) for login in servers.logins] == [("primary", False)]
