"""A database URL with several hosts: each gets its share of the time, so that one that hangs does not use it all up.

The driver itself tries them one after the other within a single time-out.
"""

import time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg

# What is one host's own trouble; a wrong password is everyone's.
_NEXT_HOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.TargetServerAttributeNotMatched,
)
_TARGET = "target_session_attrs"
# How long a host that failed comes after the others, and how long it is not asked at all while there is another.
_AVOIDED_SECONDS = 30.0
_AGAIN_SECONDS = 1.0


class Hosts:
    """A URL's hosts, and which of them failed lately: those are tried after the others for a while.

    So a replica that is away, or whose very name is slow to be found, does not keep each new connection waiting.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._failures: dict[str, tuple[float, str]] = {}
        self._well = ""

    async def connect(self, seconds: float, **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
        """Connect to the first host that answers and is what the URL wants, within the time.

        Raises the driver's errors, and ValueError for what is no URL.
        """
        urls = split_hosts(self._url)
        if len(urls) == 1:
            return await asyncpg.connect(self._url, timeout=seconds, **options)
        deadline = time.monotonic() + seconds
        refusals: dict[str, str] = {}
        for index, one in enumerate(sorted(urls, key=self._place)):
            host, now = _host(one), time.monotonic()
            if index and self._failed_within(_AGAIN_SECONDS, host):
                refusals.setdefault(host, self._failures[host][1])
                continue
            try:
                share = max(0.0, deadline - now) / (len(urls) - index)
                connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(one, timeout=share, **options)
            except _NEXT_HOST as error:
                refusals.setdefault(host, reason_of(error))
                if not isinstance(error, asyncpg.TargetServerAttributeNotMatched):
                    self._failures[host] = time.monotonic(), reason_of(error)
            else:
                self._failures.pop(host, None)
                self._well = host
                return connection
        raise ConnectionError("; ".join(f"{host}: {reason}" for host, reason in refusals.items()))

    def _place(self, url: str) -> tuple[bool, bool]:
        """Where a URL comes: as it was given, unless it failed; of those that failed, the last that was well first."""
        failed = self._failed_within(_AVOIDED_SECONDS, _host(url))
        return failed, failed and _host(url) != self._well

    def _failed_within(self, seconds: float, host: str) -> bool:
        return host in self._failures and time.monotonic() - self._failures[host][0] < seconds


def split_hosts(url: str) -> list[str]:
    """Return URLs of one host each, in the order in which to try them; raises ValueError for what is no URL."""
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    query = dict(parse_qsl(parts.query))
    if hosts:
        urls = [parts._replace(netloc=login + at + host).geturl() for host in hosts.split(",")]
    else:
        names, ports = query.get("host", "").split(","), query.get("port", "").split(",")
        if len(ports) not in {1, len(names)}:
            raise ValueError(f"{len(names)} hosts and {len(ports)} ports")
        pairs = zip(names, ports * len(names) if len(ports) == 1 else ports, strict=True)
        urls = [_with(url, host=host, port=port) for host, port in pairs]
    if len(urls) == 1:
        return [url]
    if query.get(_TARGET) == "prefer-standby":
        # A preference among all of them, which the URL of one cannot express.
        return [_with(one, **{_TARGET: target}) for target in ("standby", "any") for one in urls]
    return urls


def reason_of(error: BaseException) -> str:
    """Return what an error says, in one line."""
    if isinstance(error, TimeoutError):
        return "timed out"
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


def _with(url: str, **parameters: str) -> str:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query)) | {name: value for name, value in parameters.items() if value}
    return parts._replace(query=urlencode(query)).geturl()


def _host(url: str) -> str:
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or dict(parse_qsl(parts.query)).get("host", "")
