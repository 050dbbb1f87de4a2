"""The newest tick."""

from typing import Final

from api.fields import make_select_list
from api.latest.fields import TICK_FIELDS
from shared.database.connection import Connection, Record


async def select_latest_tick(connection: Connection, symbol: str) -> Record | None:
    """Return the newest tick's fields and its `minute`."""
    return await connection.fetchrow(_LATEST, symbol)


# Put together once from the table of fields; values come as parameters only.
_LATEST: Final = f"""
    SELECT minute, {make_select_list(TICK_FIELDS)}
    FROM ticks
    WHERE symbol = $1
    ORDER BY minute DESC
    LIMIT 1
"""  # noqa: S608 - of literals alone
