"""One training in a process of its own: `python -m predictor train`, ended when it takes too long."""

import asyncio
import contextlib
import os
import sys

from predictor.settings import PredictorSettings

# What takes so long hangs.
_SECONDS_MAX = 1800.0
_END_SECONDS = 3.0
_NICENESS = 10


async def run_training(settings: PredictorSettings, symbol: str, stop: asyncio.Event) -> str | None:
    """Train a symbol, until `stop` at most.

    Returns None when it went well, and otherwise how it ended: one that could not be done has said why on stderr.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "predictor",
        "train",
        stdin=asyncio.subprocess.DEVNULL,
        env=os.environ | make_environment(settings, symbol),
    )
    # Forecasts come first. A process that was killed at once has no priority any more.
    with contextlib.suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, process.pid, _NICENESS)
    ended = asyncio.create_task(process.wait(), name="training")
    stopped = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait((ended, stopped), timeout=_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            return _describe_end(ended.result())
        return "it was stopped" if stopped.done() else f"it took longer than {_SECONDS_MAX:.0f} s"
    finally:
        stopped.cancel()
        await _end(process, ended)


def make_environment(settings: PredictorSettings, symbol: str) -> dict[str, str]:
    """Return the variables with which a process has these settings, for one symbol."""
    return {
        "PREDICTOR_DATABASE_URL": settings.database_url.get_secret_value(),
        "PREDICTOR_SYMBOLS": symbol,
        "PREDICTOR_HORIZONS": ",".join(map(str, settings.horizons)),
        "PREDICTOR_SCHEDULE": settings.schedule,
        "PREDICTOR_MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "PREDICTOR_MLFLOW_SCHEMA": settings.mlflow_schema,
        "PREDICTOR_CACHE": str(settings.cache),
    }


def _describe_end(code: int) -> str | None:
    if code == 0:
        return None
    return f"exit code {code}" if code > 0 else f"signal {-code}"


async def _end(process: asyncio.subprocess.Process, ended: "asyncio.Task[int]") -> None:
    """End the process if it still runs, within a bound."""
    if not ended.done():
        process.terminate()
        await asyncio.wait((ended,), timeout=_END_SECONDS)
    if not ended.done():
        process.kill()
    await ended
