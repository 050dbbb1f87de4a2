"""`python -m deploy.local run | demo`: runs everything on this machine; `make run` and `make demo` call it."""

import asyncio
import contextlib
import signal
import sys

from deploy.local.console import NAME, Console
from deploy.local.plan import make_plan
from deploy.local.supervisor import supervise
from shared.command import EXIT_OK, Parser, run
from shared.lifecycle import stop_on_signals
from shared.logging import configure_logging
from shared.settings import LoggingSettings


async def main(arguments: list[str]) -> int:
    """Run the mode named until a signal ends it; returns the exit code."""
    parser = Parser(prog="python -m deploy.local", description="Run Minutebook on this machine; Ctrl-C stops it.")
    modes = parser.add_subparsers(dest="mode", required=True, metavar="run | demo")
    modes.add_parser("run", help="live from the exchange")
    modes.add_parser("demo", help="against a simulated exchange, offline")
    mode = parser.parse_args(arguments).mode
    stop = stop_on_signals()
    # Closing the terminal stops the run as Ctrl-C does.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, stop.set)
    plan = make_plan(mode)
    logging = LoggingSettings.load()
    names = ["postgres", *(service.name for layer in plan.layers for service in layer)]
    console = Console(names, named=logging.format != "json", on_lost=stop.set)
    with contextlib.redirect_stdout(console.as_stream(NAME)):
        configure_logging(NAME, logging.level, logging.format or "console")
    console.say(f"Starting in {plan.folder}.")
    if plan.left_out:
        console.say(f"The demo simulates Binance alone; it leaves out {', '.join(plan.left_out)}.")
    await supervise(plan, console, stop)
    return EXIT_OK


if __name__ == "__main__":
    run(NAME, main(sys.argv[1:]))
