"""A process that runs an embedded Postgres until it is killed, for the tests to kill: `-m` with the folder.

Prints a line of JSON once the server answers: its URL, its process and the user that runs it.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from deploy.local.postgres import running
from deploy.local.tuning import NOT_DURABLE
from shared.logging import configure_logging


async def main(folder: Path) -> None:
    """Serve until the process ends."""
    configure_logging("local-server", "error")
    async with running(folder, settings=NOT_DURABLE) as server:
        assert server.pid is not None
        user = os.stat(f"/proc/{server.pid}").st_uid  # noqa: PTH116 - no disk is read
        print(json.dumps({"url": server.url(), "pid": server.pid, "user": user}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
