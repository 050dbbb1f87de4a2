"""Measures how soon a closed minute is in `/price/latest`, beside how soon the exchange's own REST has it.

The simulated exchange runs fast, so that a hundred of its minutes pass in two; delays are in real seconds.
"""

import argparse
import asyncio
from statistics import median, quantiles
from time import perf_counter

import aiohttp

from benchmarks.common import (
    SYMBOL,
    database,
    exchange,
    make_collector_environment,
    process,
    read_until_event,
)
from shared.instant import parse_instant, to_milliseconds, utc_now

MINUTE_MS = 60_000
POLL_SECONDS = 0.004
# With fewer samples than this the worst is printed instead of the 99th percentile.
SAMPLES_FOR_P99 = 100


class Source:
    """The exchange's clock in real time, and what its REST shows."""

    def __init__(self, session: aiohttp.ClientSession, url: str, speed: float) -> None:
        self._session = session
        self._url = url
        self._speed = speed
        self._zero = 0.0

    async def calibrate(self) -> None:
        """Find the real time at which the exchange's clock was 0, from the quickest of 50 answers."""
        best = float("inf")
        for _ in range(50):
            sent_at = perf_counter()
            async with self._session.get(f"{self._url}/api/v3/time") as answer:
                told_ms = (await answer.json())["serverTime"]
            took = perf_counter() - sent_at
            if took < best:
                best = took
                self._zero = sent_at + took / 2 - told_ms / 1000.0 / self._speed

    def find_seconds_at(self, exchange_ms: int) -> float:
        """Return the real time at which the exchange's clock is at `exchange_ms`."""
        return self._zero + exchange_ms / 1000.0 / self._speed

    async def shows(self, minute_ms: int) -> bool:
        """Whether the exchange's REST has the minute after this one, so that this one is final."""
        query = f"symbol={SYMBOL}&interval=1m&startTime={minute_ms + MINUTE_MS}&limit=1"
        async with self._session.get(f"{self._url}/api/v3/klines?{query}") as answer:
            return bool(await answer.json())


async def shows_latest(session: aiohttp.ClientSession, api: str, minute_ms: int) -> bool:
    """Whether `/price/latest` is at this minute or later."""
    async with session.get(f"{api}/price/latest") as answer:
        body = await answer.json(content_type=None)
    return answer.status == 200 and to_milliseconds(parse_instant(body["timestamp"], utc_now())) >= minute_ms


async def measure(api: str, url: str, speed: float, minutes: int) -> tuple[list[float], list[float]]:
    """Return, for each minute, the seconds from its close until the API has it, and until the exchange's REST does."""
    ours: list[float] = []
    theirs: list[float] = []
    async with aiohttp.ClientSession() as session:
        source = Source(session, url, speed)
        await source.calibrate()
        first = int((perf_counter() - source.find_seconds_at(0)) * 1000 * speed) // MINUTE_MS + 2
        for number in range(first, first + minutes):
            closes_at = source.find_seconds_at((number + 1) * MINUTE_MS)
            await asyncio.sleep(max(0.0, closes_at - perf_counter() - 0.01))
            async with asyncio.timeout(30.0):
                while not await source.shows(number * MINUTE_MS):
                    await asyncio.sleep(POLL_SECONDS)
                theirs.append(perf_counter() - closes_at)
                while not await shows_latest(session, api, number * MINUTE_MS):
                    await asyncio.sleep(POLL_SECONDS)
                ours.append(perf_counter() - closes_at)
    return ours, theirs


async def main(speed: float, minutes: int, *, stream: bool) -> None:
    """Run the exchange, the collector and the API, and print the delays."""
    async with database() as database_, exchange("--symbols", SYMBOL, "--speed", str(speed)) as url:
        settings = make_collector_environment(database_, url) | {"COLLECTOR_BACKFILL_SINCE": "2h"}
        if not stream:
            settings["COLLECTOR_STREAM_URL"] = ""
        api_settings = {"API_DATABASE_URL": database_.urls["api"], "API_PORT": "0"}
        async with process("collector", "run", **settings) as collector, process("api", **api_settings) as api:
            await read_until_event(collector, "leading")
            address = (await read_until_event(api, "api_listening"))["url"]
            drains = [asyncio.create_task(drain(each)) for each in (collector, api)]
            ours, theirs = await measure(address, url, speed, minutes)
            for task in drains:
                task.cancel()
    worst = quantiles(ours, n=100)[98] if len(ours) >= SAMPLES_FOR_P99 else max(ours)
    name = "99th percentile" if len(ours) >= SAMPLES_FOR_P99 else "worst"
    way = "stream and REST" if stream else "REST alone"
    print(f"live minute by {way}, {len(ours)} minutes at speed {speed:g}: visible after {median(ours) * 1000:.0f} ms")
    print(f"(median), {worst * 1000:.0f} ms ({name}; target: under 1,000); at the exchange itself after")
    print(f"{median(theirs) * 1000:.0f} ms: ratio of the medians {median(ours) / median(theirs):.1f}")


async def drain(source: asyncio.subprocess.Process) -> None:
    """Read the log of a process, so that it does not block on a full pipe."""
    assert source.stdout
    async for _ in source.stdout:
        pass


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speed", type=float, default=60.0)
    parser.add_argument("--minutes", type=int, default=110)
    parser.add_argument("--no-stream", action="store_true", help="REST alone; then measure at --speed 1")
    options = parser.parse_args()
    asyncio.run(main(options.speed, options.minutes, stream=not options.no_stream))
