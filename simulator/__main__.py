"""`python -m simulator`: runs the simulated exchange, for a demo, a test or a benchmark."""

import os
import sys

from shared.command import EXIT_OK, run
from shared.lifecycle import stop_on_signals
from shared.logging import configure_logging, get_logger
from simulator.options import parse_options
from simulator.server import running

log = get_logger("simulator")


async def main(arguments: list[str]) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    options = parse_options(arguments, os.environ)
    configure_logging("simulator", options.log_level, options.log_format)
    simulator = options.make_simulator()
    stop = stop_on_signals()
    async with running(simulator, options.host, options.port) as url:
        stream = url.replace("http://", "ws://")
        log.info("simulator_ready", rest=url, stream=stream, archive=url, symbols=",".join(simulator.market.symbols))
        await stop.wait()
    log.info("simulator_stopped")
    return EXIT_OK


if __name__ == "__main__":
    run("simulator", main(sys.argv[1:]))
