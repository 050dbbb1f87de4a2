"""A database URL with several hosts: each gets its share of the time, so that one that hangs does not use it all up.

The driver itself tries them one after the other within a single time-out.
"""

import re
import time
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg

from shared.database.failures import reason_of

OpenedConnection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# After these the next host is tried. A wrong password is not among them: it is wrong at each host.
_NEXT_HOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.TargetServerAttributeNotMatched,
)
# How long a host that failed comes after the others, and how long it is not asked at all while there is another.
_AVOIDED_SECONDS = 30.0
_AGAIN_SECONDS = 1.0


class DatabaseHosts:
    """A URL's hosts, and which of them failed lately: those are tried after the others for a while.

    So a replica that is away, or whose very name is slow to be found, does not keep each new connection waiting.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._failures: dict[str, tuple[float, str]] = {}
        self._well = ""

    async def connect(self, seconds: float, **options: Any) -> OpenedConnection:
        """Connect to the first host that answers and is what the URL wants, within the time.

        With prefer-standby that is the first standby, or else the first that answers. Raises the driver's errors, and
        ValueError for what is no URL.
        """
        urls = split_hosts(self._url)
        if len(urls) == 1:
            return await asyncpg.connect(self._url, timeout=seconds, **options)
        prefers_standby = _parameter(self._url, "target_session_attrs") == "prefer-standby"
        deadline = time.monotonic() + seconds
        refusals: dict[str, str] = {}
        second_choice: tuple[str, OpenedConnection] | None = None
        try:
            for index, one in enumerate(sorted(urls, key=self._place)):
                host, now = _host(one), time.monotonic()
                if index and self._failed_within(_AVOIDED_SECONDS if second_choice else _AGAIN_SECONDS, host):
                    refusals[host] = self._failures[host][1]
                    continue
                try:
                    share = max(0.0, deadline - now) / (len(urls) - index)
                    connection: OpenedConnection = await asyncpg.connect(one, timeout=share, **options)
                except _NEXT_HOST as error:
                    refusals[host] = reason_of(error)
                    if not isinstance(error, asyncpg.TargetServerAttributeNotMatched):
                        self._failures[host] = time.monotonic(), reason_of(error)
                    continue
                self._failures.pop(host, None)
                if prefers_standby and not await _is_standby(connection):
                    if second_choice is None:
                        second_choice = host, connection
                    else:
                        connection.terminate()
                    continue
                if second_choice is not None:
                    second_choice[1].terminate()
                self._well = host
                return connection
        except BaseException:
            if second_choice is not None:
                second_choice[1].terminate()
            raise
        if second_choice is None:
            raise ConnectionError("; ".join(f"{host}: {reason}" for host, reason in refusals.items()))
        self._well, connection = second_choice
        return connection

    def _place(self, url: str) -> tuple[bool, bool]:
        """Where a URL comes: as it was given, unless it failed; of those that failed, the last that was well first."""
        failed = self._failed_within(_AVOIDED_SECONDS, _host(url))
        return failed, failed and _host(url) != self._well

    def _failed_within(self, seconds: float, host: str) -> bool:
        return host in self._failures and time.monotonic() - self._failures[host][0] < seconds


def split_hosts(url: str) -> list[str]:
    """Return URLs of one host each, in the order given; raises ValueError for what is no URL."""
    # By hand: Python's own parser refuses a list with an IPv6 address in it from 3.13 on.
    scheme, slashes, rest = url.partition("://")
    netloc = re.split("[/?#]", rest, maxsplit=1)[0]
    login, at, hosts = netloc.rpartition("@")
    query = _read_parameters(url)
    if hosts:
        urls = [scheme + slashes + login + at + host + rest[len(netloc) :] for host in hosts.split(",")]
    else:
        names, ports = query.get("host", "").split(","), query.get("port", "").split(",")
        if len(ports) not in {1, len(names)}:
            raise ValueError(f"{len(names)} hosts and {len(ports)} ports")
        pairs = zip(names, ports * len(names) if len(ports) == 1 else ports, strict=True)
        urls = [_with(url, host=host, port=port) for host, port in pairs]
    return urls if len(urls) > 1 else [url]


async def _is_standby(connection: OpenedConnection) -> bool:
    """Whether the server follows another one; it says so by itself since PostgreSQL 14."""
    said = getattr(connection.get_settings(), "in_hot_standby", None)
    return said == "on" if said is not None else bool(await connection.fetchval("SELECT pg_is_in_recovery()"))


def _with(url: str, **parameters: str) -> str:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query)) | {name: value for name, value in parameters.items() if value}
    return parts._replace(query=urlencode(query)).geturl()


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or _parameter(url, "host")


def _parameter(url: str, name: str) -> str:
    return _read_parameters(url).get(name, "")


def _read_parameters(url: str) -> dict[str, str]:
    return dict(parse_qsl(url.partition("#")[0].partition("?")[2]))
