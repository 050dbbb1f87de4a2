"""A database URL with several hosts, taken apart."""

import pytest

from shared.database.hosts import split_hosts


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
