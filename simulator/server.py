"""Puts the simulated exchange together and serves it, for the command or inside a test.

clock = ManualClock(datetime(2026, 1, 5, 12, tzinfo=UTC))
simulator = Simulator(Generator(("BTCUSDT",)), clock=clock, faults=["451,count=1"])
async with running(simulator) as url:
    ...
    clock.advance(minutes=1)
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiohttp import web

from shared.errors import UsageError
from simulator.archive import ArchiveOptions, Archives
from simulator.clock import Clock, RunningClock
from simulator.control import Control
from simulator.fault import Fault
from simulator.fault_effects import Handler
from simulator.faults import Faults
from simulator.generator import Generator
from simulator.limits import Limiter, Limits
from simulator.market import Market
from simulator.middleware import Middleware
from simulator.request_log import RequestLog
from simulator.rest import Rest
from simulator.source import Source
from simulator.stream import LIFETIME_SECONDS, Stream

GRACE_SECONDS = 1.0


class Simulator:
    """The simulated exchange; a test can read and steer its parts. Use it from one event loop only."""

    def __init__(  # noqa: PLR0913 - all are optional, and named
        self,
        source: Source | None = None,
        *,
        clock: Clock | None = None,
        faults: Iterable[Fault | str] = (),
        limits: Limits | None = None,
        archives: ArchiveOptions | None = None,
        seed: int = 7,
        stream_lifetime_seconds: float = LIFETIME_SECONDS,
    ) -> None:
        self.clock = clock or RunningClock()
        self.faults = Faults(faults, seed)
        self.market = Market(source or Generator(seed=seed), self.clock, self.faults)
        self.limiter = Limiter(limits or Limits())
        self.log = RequestLog()
        self.stream = Stream(self.market, stream_lifetime_seconds)
        self._archives = Archives(self.market, archives or ArchiveOptions())
        self._middleware = Middleware(self.market, self.faults, self.limiter, self.log)

    def make_application(self) -> web.Application:
        """Return a new application with all routes."""

        @web.middleware
        async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._middleware.handle(request, handler)

        application = web.Application(middlewares=[handle])
        control = Control(self.market, self.faults, self.limiter, self.log, self.stream)
        rest = Rest(self.market, self.limiter.limits)
        for part in (rest, self.stream, self._archives, control):
            application.add_routes(part.routes())
        application.on_response_prepare.append(self._middleware.on_prepare)
        return application

    async def shut_down(self) -> None:
        """End the answers that a fault keeps waiting, and the streams."""
        self._middleware.stopping.set()
        await self.stream.shut_down()


@asynccontextmanager
async def running(simulator: Simulator, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve while the block runs; yields the base URL. Port 0 is a free port. Raises UsageError for a taken one."""
    runner = web.AppRunner(
        simulator.make_application(), access_log=None, handler_cancellation=True, shutdown_timeout=GRACE_SECONDS
    )
    await runner.setup()
    pushing = asyncio.create_task(simulator.stream.run(), name="stream")
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise UsageError(
                f"{host}:{port} cannot be listened on: {error.strerror}; choose another --port."
            ) from error
        yield f"http://{_format_authority(host, runner.addresses[0][1])}"
    finally:
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
        await simulator.shut_down()
        await runner.cleanup()


def _format_authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
