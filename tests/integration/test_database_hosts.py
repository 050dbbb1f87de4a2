"""A database URL with several hosts, of which some do not answer."""

import time
from urllib.parse import urlsplit

import pytest

from shared.database.connection import Connection
from shared.database.database import CONNECT_SECONDS, Bounds, connect, open_database
from shared.database.migrate import migrate
from shared.errors import DatabaseError, DatabaseUnavailableError
from tests.integration.tcp_proxy import silent_port
from tests.postgres import Database


def with_hosts(url: str, *hosts: str, target: str = "any") -> str:
    """The URL with other hosts before its own."""
    parts = urlsplit(url)
    login, _, own = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{login}@{','.join((*hosts, own))}", query=f"target_session_attrs={target}").geturl()


async def select_application_name(connection: Connection) -> str:
    """The name that the session goes by."""
    return str(await connection.fetchval("SHOW application_name"))


@pytest.mark.parametrize("target", ["any", "primary", "read-write", "prefer-standby"])
async def test_a_host_that_hangs_does_not_keep_the_next_one_from_being_asked(database: Database, target: str) -> None:
    """Within the time for one connection, by whatever way it is opened."""
    with silent_port() as port:
        url = with_hosts(database.owner_url, f"127.0.0.1:{port}", target=target)
        began = time.monotonic()
        async with connect(url, "test") as connection:
            assert time.monotonic() - began < CONNECT_SECONDS
            assert await connection.fetchval("SHOW application_name") == "test"
        async with open_database(url, "test pool", Bounds(pool_size=1, connect_seconds=1.0)) as pooled:
            assert await pooled.read(select_application_name) == "test pool"


async def test_migrate_passes_a_host_that_hangs_by(empty_database: Database) -> None:
    """As everything that connects."""
    with silent_port() as port:
        await migrate(with_hosts(empty_database.owner_url, f"127.0.0.1:{port}"), {})


async def test_a_host_that_is_not_what_is_wanted_is_passed_by(database: Database) -> None:
    """And when none is, each is named with its reason."""
    with silent_port() as port:
        # The role api only ever reads.
        url = with_hosts(database.api_url, f"127.0.0.1:{port}", target="read-write")
        with pytest.raises(DatabaseUnavailableError, match=rf"127\.0\.0\.1:{port}: timed out; .*: .*read-write"):
            async with connect(url, "test"):
                pass


async def test_a_wrong_password_is_not_tried_on_the_next_host(database: Database) -> None:
    """It is wrong everywhere, and the time is better spent on saying so."""
    with silent_port() as port:
        first = urlsplit(database.api_url).netloc.rpartition("@")[2]
        url = database.api_url.replace(database.passwords["api"], "wrong").replace(first, f"{first},127.0.0.1:{port}")
        began = time.monotonic()
        with pytest.raises(DatabaseError, match="refuses the connection"):
            async with connect(url, "test"):
                pass
        assert time.monotonic() - began < CONNECT_SECONDS / 2
