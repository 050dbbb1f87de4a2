"""The predictor's connections to Postgres, within bounds that let it outlive any absence."""

from contextlib import AbstractAsyncContextManager

from shared.database.database import Bounds, Database, open_database

# Recovery is promised within 5 s of Postgres's return, so nothing may wait longer for what was sent before.
_BOUNDS = Bounds(pool_size=6, connect_seconds=2.0, work_seconds=4.0)
_SESSION = {"idle_in_transaction_session_timeout": "10s"}


def open_predictor_database(url: str) -> AbstractAsyncContextManager[Database]:
    """Open the predictor's database; nothing connects before the first work."""
    return open_database(url, "minutebook-predictor", _BOUNDS, _SESSION)
