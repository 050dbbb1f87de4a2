"""`python -m predictor score`: scores what came due, and ends."""

import sys
from functools import partial

from predictor.queries.database import open_predictor_database
from predictor.queries.scores import upsert_scores
from predictor.settings import PredictorSettings
from shared.command import EXIT_OK

# Everything since the last time, which may be long ago.
_SECONDS = 120.0


async def run_score(settings: PredictorSettings) -> int:
    """Score what came due and was corrected, and print how many scores were written."""
    async with open_predictor_database(settings.database_url.get_secret_value()) as database:
        for symbol in settings.symbols:
            scored = await database.write(partial(upsert_scores, symbol=symbol), seconds=_SECONDS)
            sys.stdout.write(f"{symbol}: {scored} forecasts scored\n")
    return EXIT_OK
