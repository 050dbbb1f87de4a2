"""A service for the supervisor's tests: `-m` with what it is to do, and the folder in which it leaves traces.

It writes its number into `<name>.pid`, then the database's URL into `<name>.url`, which says that it has started, and
appends what it hears to `heard`.
"""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

TICK = {"symbol": "BTCUSDT", "price": 91234.56, "timestamp": "2026-11-22T12:34:00Z", "source": "simulated"}


class Api(http.server.BaseHTTPRequestHandler):
    """Answers as the API does; the tick comes once the file `tick` exists."""

    folder: Path

    def do_GET(self) -> None:
        """Answer."""
        has_tick = (self.folder / "tick").exists()
        status = 404 if self.path == "/price/latest" and not has_tick else 200
        body = json.dumps(TICK if status == 200 else {"status": 404}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


def leave(path: Path, text: str) -> None:
    """Write a file that is never seen half written."""
    unfinished = path.with_suffix(".new")
    unfinished.write_text(text, encoding="ascii")
    unfinished.rename(path)


def main(name: str, work: str, folder: Path, port: str = "0") -> None:
    """Do it until told to stop, or for ever."""

    def hear(number: int, _: FrameType | None) -> None:
        with (folder / "heard").open("a", encoding="ascii") as file:
            file.write(f"{name} {signal.Signals(number).name}\n")
        if work != "stay":
            raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hear)
    if work == "fork":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        leave(folder / f"{name}-child.pid", str(child.pid))
    leave(folder / f"{name}.pid", str(os.getpid()))
    if work == "serve":
        Api.folder = folder
        server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Api)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    leave(folder / f"{name}.url", os.environ.get(f"{name.upper()}_DATABASE_URL", ""))
    print(f"{name} works", flush=True)
    while True:
        time.sleep(600)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), *sys.argv[4:])
