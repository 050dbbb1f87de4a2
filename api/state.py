"""What the routes of one process share, handed to them as a dependency."""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from api.catalog import CatalogKeeper
from api.database import Database
from api.track_record import TrackRecordKeeper


@dataclass(frozen=True)
class State:
    """The database, and what is kept of it."""

    database: Database
    catalogs: CatalogKeeper = field(default_factory=CatalogKeeper)
    track_records: TrackRecordKeeper = field(default_factory=TrackRecordKeeper)
    # Who may do something long beside the event loop.
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))


async def _state(request: Request) -> State:
    state: State = request.app.state.minutebook
    return state


SharedState = Annotated[State, Depends(_state)]
