"""`/price/history`: bars and their features, in pages or as one streamed table."""

from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.documentation import FEATURES, NO_DATABASE, NO_SYMBOL, describe_cached_answer, describe_problems
from api.history.fields import HISTORY
from api.history.page import select_first_page
from api.history.parameters import HistoryParameters
from api.problems import make_invalid_parameter_problem
from api.rows import CSV_MEDIA_TYPE, answer_with_rows
from api.state import SharedState
from shared.features import parse_names

router = APIRouter(tags=["Prices"])

DESCRIPTION = f"""
Finished bars that open in [start, end), each with its features; without a start, the newest.

Follow `next_cursor` (in CSV the header `Next-Cursor`) with the same parameters to get every bar exactly once.
`gaps` names the minutes missing from what the page covers. CSV without a limit is the whole range, streamed:
a stream that breaks off ends without its last chunk, so that it does not look complete.
{FEATURES}"""


@router.get(
    "/price/history",
    summary="Bars and their features",
    description=DESCRIPTION,
    responses=describe_cached_answer(HISTORY, "A page of bars", CSV_MEDIA_TYPE)
    | describe_problems(400, NO_SYMBOL, NO_DATABASE),
)
async def read_history(request: Request, query: HistoryParameters, state: SharedState) -> Response:
    """Answer as DESCRIPTION says."""
    try:
        features = parse_names(query.features)
    except ValueError as error:
        raise make_invalid_parameter_problem("features", str(error)) from error
    return await answer_with_rows(request, state, query, partial(select_first_page, query=query, features=features))
