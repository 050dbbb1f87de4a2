"""Pages of past forecasts as bytes: JSON, and CSV with the same digits."""

from collections.abc import Iterator
from typing import Final

import orjson

from api.forecast_history import COLUMNS, ForecastPage
from shared.instant import to_text

# One value a `%s`, in the order of COLUMNS up to the outcome, and from there on.
_FORECAST: Final = (
    '{"made_at":"%s","horizon_minutes":%s,"target_time":"%s","expires_at":"%s","base_price":%s,"price":%s,'
    '"intervals":{"50":[%s,%s],"80":[%s,%s],"95":[%s,%s]},"volatility":%s,"probability_up":%s,"model_version":%s,'
    '"created_at":"%s","outcome":'
)
_OUTCOME: Final = (
    '{"actual_price":%s,"absolute_error":%s,"naive_absolute_error":%s,"covered":{"50":%s,"80":%s,"95":%s},'
    '"winkler":{"50":%s,"80":%s,"95":%s},"pinball":%s,"realised_volatility":%s,"qlike":%s,"scored_at":"%s",'
    '"rescored_at":%s}}'
)
_OUTCOME_BEGINS: Final = COLUMNS.index("actual_price")
_QLIKE: Final = COLUMNS.index("qlike")


def forecasts_json(page: ForecastPage) -> bytes:
    """Return the page's JSON."""
    walk = page.walk
    head = {
        "symbol": walk.symbol,
        "start": to_text(page.start),
        "end": to_text(walk.end),
        "horizon_minutes": walk.horizon,
        "count": len(page),
    }
    tail = {"next_cursor": page.rest.cursor() if page.rest else None}
    data = ",".join([_row_json(row) for row in _rows(page)])
    return b"".join((orjson.dumps(head)[:-1], b',"data":[', data.encode(), b"],", orjson.dumps(tail)[1:]))


def forecasts_csv(page: ForecastPage, *, with_header: bool = True) -> bytes:
    """Return a line a forecast, below the columns' names; a null is nothing."""
    lines = [",".join(COLUMNS)] if with_header else []
    lines += [",".join(row) for row in _rows(page)]
    return "".join([f"{line}\n" for line in lines]).encode()


def _rows(page: ForecastPage) -> Iterator[tuple[str, ...]]:
    return zip(*page.columns.values(), strict=True)


def _row_json(row: tuple[str, ...]) -> str:
    forecast = _FORECAST % row[:_OUTCOME_BEGINS]
    if not row[_OUTCOME_BEGINS]:
        return forecast + "null}"
    *outcome, rescored_at = row[_OUTCOME_BEGINS:]
    outcome[_QLIKE - _OUTCOME_BEGINS] = row[_QLIKE] or "null"
    return forecast + _OUTCOME % (*outcome, f'"{rescored_at}"' if rescored_at else "null")
