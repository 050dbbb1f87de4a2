"""`python -m api`: serves until a signal stops it."""

import os
import sys

from shared.command import EXIT_FAILED, EXIT_OK, Parser
from shared.errors import MinutebookError


def main(arguments: list[str]) -> int:
    """Serve; returns the exit code."""
    parser = Parser(prog="python -m api", description="Serve the REST API; its settings are API_… in the environment.")
    parser.parse_args(arguments)
    # Each worker computes on one core; a pool of threads that numpy never gets to use would cost memory.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from api.server import serve  # noqa: PLC0415 - numpy reads the line above when it is imported

    try:
        serve()
    except MinutebookError as error:
        sys.stderr.write(f"api: {error}\n")
        return EXIT_FAILED
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
