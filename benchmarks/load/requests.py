"""Loads a URL with a number of connections for a number of seconds."""

import asyncio
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import aiohttp


@dataclass(frozen=True)
class Load:
    """The result of a load: answers a second, median latency in ms, and length of an answer in bytes."""

    rate: float
    latency_ms: float
    length: int


async def ask(url: str, seconds: float, connections: int) -> Load:
    """Request `url` again and again on each connection; raises aiohttp.ClientResponseError for an error status."""
    connector = aiohttp.TCPConnector(limit=connections)
    latencies: list[float] = []
    async with aiohttp.ClientSession(connector=connector, raise_for_status=True) as session:
        for _ in range(3):  # so that Postgres has prepared and planned the statements
            length = len(await _get(session, url))
        began_at = perf_counter()

        async def one_connection() -> None:
            while perf_counter() - began_at < seconds:
                sent_at = perf_counter()
                await _get(session, url)
                latencies.append(perf_counter() - sent_at)

        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(one_connection())
        took = perf_counter() - began_at
    return Load(len(latencies) / took, median(latencies) * 1_000, length)


async def _get(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.get(url) as response:
        return await response.read()
