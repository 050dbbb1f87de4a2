"""A whole supervisor over stand-ins, as a process for the tests to signal: `-m` with its folder and the API's port."""

import os
import sys
from pathlib import Path

from deploy.local.console import Console
from deploy.local.plan import Plan
from deploy.local.service import Service
from deploy.local.supervisor import supervise
from shared.command import EXIT_OK, run
from shared.lifecycle import stop_on_signals
from shared.logging import configure_logging


def stand_in(name: str, work: str, folder: Path, port: int = 0, *, role: str = "", answers_at: str = "") -> Service:
    """Return a service that does `work`."""
    command = (sys.executable, "-m", "tests.integration.local_stand_in", name, work, str(folder), str(port))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    # Only one that never ends is to be killed; the others have their time, on a busy machine too.
    seconds = 1.0 if work == "stay" else 10.0
    return Service(name, command, environment, role=role, answers_at=answers_at, stop_seconds=seconds)


def stand_in_plan(folder: Path, port: int, exchange_urls: tuple[str, ...] = ()) -> Plan:
    """Return a plan with an API that answers on `port`."""
    exchange = stand_in("exchange", "wait", folder)
    api = stand_in("api", "serve", folder, port, role="api")
    collector = stand_in("collector", "wait", folder, role="collector")
    return Plan(folder / "state", ((exchange,), (api, collector)), "127.0.0.1", port, exchange_urls)


async def main(folder: Path, port: int) -> int:
    """Run until a signal ends it."""
    configure_logging("minutebook", "warning")
    stop = stop_on_signals()
    plan = stand_in_plan(folder, port)
    names = [service.name for layer in plan.layers for service in layer]
    await supervise(plan, Console(names, on_lost=stop.set), stop)
    return EXIT_OK


if __name__ == "__main__":
    run("minutebook", main(Path(sys.argv[1]), int(sys.argv[2])))
