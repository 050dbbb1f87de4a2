"""`python -m tests.integration.four_levels OWNER PREDICTOR API`: what a forecast goes through, with a fourth level.

A process of its own, since modules take the levels over when they are imported.
"""

import asyncio
import json
import sys
from datetime import timedelta
from decimal import Decimal

import shared.levels

LEVELS = (50, 80, 90, 95)
SYMBOL = "BTCUSDT"
_HORIZON = 15


async def main(owner_url: str, predictor_url: str, api_url: str) -> None:
    """Train, forecast, store, score and serve; print what was stored and answered, and how the training did."""
    shared.levels.LEVELS = LEVELS  # type: ignore[misc] # as if the file said so
    from predictor.forecast.forecaster import Forecaster  # noqa: PLC0415
    from predictor.forecast.training import train  # noqa: PLC0415
    from predictor.queries.forecasts import Forecast, insert_forecast  # noqa: PLC0415
    from predictor.queries.models import adopt_model  # noqa: PLC0415
    from predictor.queries.scores import upsert_scores  # noqa: PLC0415
    from predictor.service.forecasting import round_row  # noqa: PLC0415
    from shared.database.database import connect  # noqa: PLC0415
    from shared.instant import MINUTE, from_milliseconds  # noqa: PLC0415
    from tests.collecting import connected  # noqa: PLC0415
    from tests.integration.api_server import Tick, add_ticks, serving, store  # noqa: PLC0415
    from tests.integration.predictor_record import model_info, set_exchange_time  # noqa: PLC0415
    from tests.models import walk  # noqa: PLC0415

    bars = walk(8)
    known = len(bars) - _HORIZON
    training = train(bars.part(0, known), (_HORIZON,), None)
    distributions = Forecaster(training.challenger).forecast(bars.part(0, known))
    made_at = from_milliseconds(int(bars.open_time[known]))
    price = Decimal(str(bars.close[known - 1]))
    ticks = []
    for index in range(known - 5, len(bars)):
        close = Decimal(str(bars.close[index]))
        minute = from_milliseconds(int(bars.open_time[index]))
        ticks.append(Tick(minute, close, close, close, close, Decimal(1), close, 1))
    async with connected(owner_url) as owner, connect(predictor_url, "four levels") as predictor:
        await store(owner_url, ticks[:-_HORIZON])
        await adopt_model(predictor, model_info(symbol=SYMBOL))
        await set_exchange_time(owner, made_at + timedelta(seconds=2))
        rows = [round_row(distribution, 2) for distribution in distributions]
        await insert_forecast(predictor, Forecast(SYMBOL, made_at, price, 1, rows))
        # One that was made before there was a fourth level.
        old = [rows[0]._replace(intervals={level: rows[0].intervals[level] for level in (50, 80, 95)})]
        await insert_forecast(predictor, Forecast(SYMBOL, made_at - MINUTE, price, 1, old))
        async with serving(api_url) as client:
            fresh = (await client.get("/price/predict")).json()
        await add_ticks(owner, ticks[-_HORIZON:])
        await set_exchange_time(owner, made_at + (_HORIZON + 1) * MINUTE)
        async with predictor.transaction():
            await upsert_scores(predictor, SYMBOL)
        stored = await owner.fetch(
            """
            SELECT forecasts.levels, lower_bounds::float8[], upper_bounds::float8[], covered, winkler
            FROM forecasts
            JOIN forecast_scores USING (symbol, made_at, horizon_minutes)
            ORDER BY made_at
            """
        )
    async with serving(api_url) as client:
        history = (await client.get("/price/predict/history?order=asc")).json()
        lines = (await client.get("/price/predict/history?order=asc&format=csv")).text.splitlines()
        score = (await client.get("/price/predict/score")).json()
        schema = (await client.get("/openapi.json")).json()
    [evaluated] = training.evaluation.scores
    report = {
        "coverage": evaluated.coverage,
        "ratios": [evaluated.winkler80_ratio, evaluated.winkler95_ratio],
        "stored": [dict(row) for row in stored],
        "fresh": fresh["forecasts"][0]["intervals"],
        "history": history["data"],
        "csv": lines,
        "documented": {
            "predict": schema["paths"]["/price/predict"]["get"]["description"],
            "pinball": schema["components"]["schemas"]["Score"]["properties"]["pinball"]["description"],
            "intervals": list(schema["components"]["schemas"]["Intervals"]["properties"]),
        },
        "score": next(each["windows"]["24h"] for each in score["horizons"] if each["horizon_minutes"] == _HORIZON),
    }
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
