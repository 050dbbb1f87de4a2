"""Pages of past forecasts as bytes: JSON, and CSV with the same digits."""

from collections.abc import Iterator
from typing import Final

import orjson

from api.forecast_history import COLUMNS, ForecastPage
from shared.instant import to_text
from shared.levels import LEVELS


def _by_level(value: str) -> str:
    return "{" + ",".join(f'"{level}":{value}' for level in LEVELS) + "}"


# One value a `%s`, in the order of COLUMNS up to the outcome, and from there on.
_FORECAST: Final = (
    '{"made_at":"%s","horizon_minutes":%s,"target_time":"%s","expires_at":"%s","base_price":%s,"price":%s,'
    f'"intervals":{_by_level("[%s,%s]")},"volatility":%s,"probability_up":%s,"model_version":%s,'
    '"created_at":"%s","outcome":'
)
_OUTCOME: Final = (
    '{"actual_price":%s,"absolute_error":%s,"naive_absolute_error":%s,'
    f'"covered":{_by_level("%s")},"winkler":{_by_level("%s")},'
    '"pinball":%s,"realised_volatility":%s,"qlike":%s,"scored_at":"%s",'
    '"rescored_at":%s}}'
)
_OUTCOME_BEGINS: Final = COLUMNS.index("actual_price")


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
    # An empty text is null: a level that this forecast did not state, or the QLIKE of a price that did not move.
    forecast = _FORECAST % tuple([value or "null" for value in row[:_OUTCOME_BEGINS]])
    if not row[_OUTCOME_BEGINS]:
        return forecast + "null}"
    *outcome, rescored_at = row[_OUTCOME_BEGINS:]
    return forecast + _OUTCOME % (
        *[value or "null" for value in outcome],
        f'"{rescored_at}"' if rescored_at else "null",
    )
