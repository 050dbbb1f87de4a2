"""What the routes of one process share, handed to them as a dependency."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from api.catalog import CatalogKeeper
from api.track_record import TrackRecordKeeper
from shared.database.database import Bounds, Database, open_database

# A route answers within 5 s whatever the database does; this leaves the rest for encoding.
_BOUNDS = Bounds(pool_size=8, connect_seconds=1.8, work_seconds=4.0)
# And health within 2 s.
_HEALTH_BOUNDS = Bounds(pool_size=2, connect_seconds=1.2, work_seconds=1.5)
# A statement that was given up here ends in the server too.
_SESSION = {"statement_timeout": "5000"}


@dataclass(frozen=True)
class State:
    """The database, and what is kept of it.

    Health has connections of its own, so that load does not look like an outage. Code that works for
    long beside the event loop holds `long_work` meanwhile.
    """

    database: Database
    health_database: Database
    catalogs: CatalogKeeper = field(default_factory=CatalogKeeper)
    track_records: TrackRecordKeeper = field(default_factory=TrackRecordKeeper)
    long_work: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))


@asynccontextmanager
async def open_state(url: str) -> AsyncIterator[State]:
    """Make the state around that database; nothing connects before the first read, so the API starts without it."""
    async with (
        open_database(url, "minutebook-api", _BOUNDS, _SESSION) as database,
        open_database(url, "minutebook-api", _HEALTH_BOUNDS, _SESSION) as health_database,
    ):
        yield State(database, health_database)


async def _state(request: Request) -> State:
    state: State = request.app.state.minutebook
    return state


SharedState = Annotated[State, Depends(_state)]
