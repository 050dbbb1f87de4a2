"""What the layers around a request tell each other about it."""

from dataclasses import dataclass

from starlette.types import Scope

_KEY = "minutebook.notes"


@dataclass
class RequestNotes:
    """`reason` is why a request fails, for the log; `wants_head` says that only the headers are sent."""

    reason: str | None = None
    wants_head: bool = False


def begin_notes(scope: Scope) -> RequestNotes:
    """Make the notes of a new request; copies of the scope share them."""
    notes = scope[_KEY] = RequestNotes()
    return notes


def get_notes(scope: Scope) -> RequestNotes:
    """Return the request's notes."""
    notes: RequestNotes = scope[_KEY]
    return notes
