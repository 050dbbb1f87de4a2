"""Runs every command: reads its arguments, and turns an error into one sentence on stderr and exit code 2."""

import argparse
import asyncio
import sys
from collections.abc import Coroutine
from typing import NoReturn

from shared.errors import MinutebookError

EXIT_OK = 0
EXIT_DIFFERENT = 1
EXIT_FAILED = 2


class Parser(argparse.ArgumentParser):
    """An argument parser that reports bad usage in one sentence."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and how to get help, and exit 2."""
        self.exit(EXIT_FAILED, f"{self.prog}: {message}; see '{self.prog} --help'.\n")


def run(name: str, main: Coroutine[object, object, int]) -> NoReturn:
    """Run a command and exit with its code; a MinutebookError becomes one sentence on stderr and exit code 2."""
    try:
        sys.exit(asyncio.run(main))
    except MinutebookError as error:
        sys.stderr.write(f"{name}: {error}\n")
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
