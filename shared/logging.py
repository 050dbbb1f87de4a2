"""Logs events with fields to stdout, a line each: readable on a terminal, JSON for machines."""

import logging
import sys
from typing import Any, Literal, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

Format = Literal["console", "json"]
Level = Literal["debug", "info", "warning", "error"]

_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


def configure_logging(service: str, level: Level = "info", log_format: Format | None = None) -> None:
    """Configure the logging of this process, once, at its start.

    Records of the standard library's logging, such as uvicorn's and asyncio's, get the same format. Without
    `log_format` it is the console's on a terminal, and JSON elsewhere.
    """
    to_terminal = sys.stdout.isatty() if log_format is None else log_format == "console"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if to_terminal
        else [_TRACEBACKS, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _shorten_exception],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    structlog.contextvars.bind_contextvars(service=service)


def _shorten_exception(_: object, __: str, event: EventDict) -> EventDict:
    """Replace a library's traceback by its exception's type and first line; a local in it may be a secret."""
    # structlog has not moved the exception of a foreign record to the event yet.
    record = event.get("_record")
    raised = record.exc_info[1] if isinstance(record, logging.LogRecord) and record.exc_info else None
    event.pop("exc_info", None)
    if raised is not None and isinstance(record, logging.LogRecord):
        record.exc_info = record.exc_text = None
        event["error"] = f"{type(raised).__name__}: {raised}".partition("\n")[0]
    return event


def get_logger(name: str) -> FilteringBoundLogger:
    """Return the logger of a module; it takes an event name and fields."""
    return cast("FilteringBoundLogger", cast("Any", structlog.get_logger(name)))
