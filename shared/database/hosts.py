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


async def connect_to_one(url: str, seconds: float, **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
    """Connect to the first host that answers and is what the URL wants, within the time; raises the driver's errors."""
    urls = split_hosts(url)
    if len(urls) == 1:
        return await asyncpg.connect(url, timeout=seconds, **options)
    deadline = time.monotonic() + seconds
    refusals: dict[str, str] = {}
    for index, one in enumerate(urls):
        share = max(0.0, deadline - time.monotonic()) / (len(urls) - index)
        try:
            return await asyncpg.connect(one, timeout=share, **options)
        except _NEXT_HOST as error:
            refusals.setdefault(_host(one), reason_of(error))
    raise ConnectionError("; ".join(f"{host}: {reason}" for host, reason in refusals.items()))


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
