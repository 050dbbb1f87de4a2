"""How every command reads its arguments, fails and ends: one sentence on stderr and exit 2, no traceback."""

import argparse
import asyncio
import sys
from collections.abc import Coroutine
from typing import NoReturn

from shared.errors import MinutebookError

EXIT_OK = 0
EXIT_DIFFERENT = 1
EXIT_USAGE = 2


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one sentence."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and where help is, and exit 2."""
        self.exit(EXIT_USAGE, f"{self.prog}: {message}; see '{self.prog} --help'.\n")


def run(name: str, main: Coroutine[object, object, int]) -> NoReturn:
    """Run a command to its exit code; an error of Minutebook's own becomes one sentence on stderr and exit 2."""
    try:
        sys.exit(asyncio.run(main))
    except MinutebookError as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(EXIT_USAGE)
    except KeyboardInterrupt:
        sys.exit(130)
