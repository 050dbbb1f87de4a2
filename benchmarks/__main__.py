"""`make bench`: runs all benchmarks in turn, each in its own process."""

import subprocess
import sys
from pathlib import Path

NOT_BENCHMARKS = {"__init__", "__main__", "common"}


def main() -> int:
    """Run all benchmarks of this folder; returns how many have failed."""
    failed = 0
    for file in sorted(Path(__file__).parent.glob("*.py")):
        if file.stem not in NOT_BENCHMARKS:
            print(f"\n{file.stem}", flush=True)
            failed += subprocess.run([sys.executable, "-m", f"benchmarks.{file.stem}"], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
