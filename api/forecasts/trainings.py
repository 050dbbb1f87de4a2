"""The last attempts to train a model."""

from typing import Final

from api.fields import make_select_list, read_row
from api.forecasts.fields import TRAINING_FIELDS
from shared.database.connection import Connection


async def select_trainings(connection: Connection, symbol: str) -> list[dict[str, object]]:
    """Read the last ten, the newest first, as the answer has them."""
    return [read_row(TRAINING_FIELDS, row) for row in await connection.fetch(_TRAININGS, symbol)]


# Put together once from the table of fields; values come as parameters only.
_TRAININGS: Final = f"""
    SELECT {make_select_list(TRAINING_FIELDS)}
    FROM trainings
    WHERE symbol = $1
    ORDER BY started_at DESC
    LIMIT 10
"""  # noqa: S608 - of literals alone
