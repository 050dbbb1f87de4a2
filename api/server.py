"""The server: one socket, one process or several, and an end within the bound."""

import signal
import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from api.app import create_app
from api.memory import keep_freed_memory
from api.settings import ApiSettings
from shared.errors import UsageError
from shared.logging import configure_logging, get_logger
from shared.settings import LoggingSettings

log = get_logger(__name__)

# Requests in flight get this long; the process that stops us waits 10 s.
_GRACE_SECONDS = 8
_KEEP_ALIVE_SECONDS = 75
_BACKLOG = 2_048


def make_app() -> FastAPI:
    """Make the application of one worker process, from the environment."""
    logging = LoggingSettings.load()
    configure_logging("api", logging.level, logging.format)
    keep_freed_memory()
    return create_app(ApiSettings.load())


def serve() -> None:
    """Serve until SIGTERM or SIGINT; raises SettingsError or UsageError with the sentence for the operator."""
    logging = LoggingSettings.load()
    settings = ApiSettings.load()
    configure_logging("api", logging.level, logging.format)
    with _listen(settings.host, settings.port) as listener:
        host, port = listener.getsockname()[:2]
        config = uvicorn.Config(
            "api.server:make_app",
            factory=True,
            workers=settings.workers,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        # uvicorn raises the signal that stopped it once more; being told to stop is no failure.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _ignore)
        shown = f"[{host}]" if ":" in host else host
        log.info("api_listening", url=f"http://{shown}:{port}", workers=settings.workers)
        if settings.workers == 1:
            uvicorn.Server(config).run(sockets=[listener])
        else:
            Multiprocess(config, sockets=[listener]).run()
        log.info("api_stopped")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"API_HOST={host} is not an address of this machine ({error.strerror}).") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.set_inheritable(True)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"The API cannot listen on {host}:{port} ({error.strerror}); set API_PORT to a free port, or API_HOST."
        ) from error
    return listener


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing, unlike the default, which ends the process with the signal's exit code."""
