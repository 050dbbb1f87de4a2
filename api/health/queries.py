"""What `/health` reads: the database's own state, and the services' heartbeats."""

import time
from typing import NamedTuple

from api.catalog import Catalog, select_catalog
from api.forecast_status import ForecastStatus, select_forecast_statuses, select_forecast_symbols
from api.freshness import SILENT_SECONDS
from shared.database.connection import Connection, Record
from shared.symbols import BINANCE, source_of


class Findings(NamedTuple):
    """What was read, and how long the first query took."""

    latency_seconds: float
    database: Record
    catalog: Catalog
    collector: Record | None
    forecasts: dict[str, ForecastStatus]
    predictor: Record | None


async def select_findings(connection: Connection) -> Findings:
    """Read what `/health` reports of the database and of its contents."""
    began = time.perf_counter()
    database = await connection.fetchrow(
        """
        SELECT pg_is_in_recovery() AS is_replica,
               CASE WHEN pg_is_in_recovery() THEN
                   date_part('epoch', clock_timestamp() - pg_last_xact_replay_timestamp())
               END AS replica_lag_seconds
        """
    )
    latency = time.perf_counter() - began
    assert database is not None  # noqa: S101 - a SELECT without FROM has one row
    catalog = await select_catalog(connection)
    default_source = source_of(catalog.default_symbol) if catalog.default_symbol else BINANCE
    collector = await _select_heartbeat(connection, "collector", default_source)
    forecasts = await select_forecast_statuses(connection, await select_forecast_symbols(connection))
    predictor = await _select_heartbeat(connection, "predictor", default_source)
    return Findings(latency, database, catalog, collector, forecasts, predictor)


async def _select_heartbeat(connection: Connection, service: str, source: str) -> Record | None:
    """Read the heartbeat of a service's leader, or where none leads, the newest; and how many of them live.

    With a leader's comes the clock of that source, as it was written last.
    """
    return await connection.fetchrow(
        """
        SELECT instance, is_leader, started_at, beat_at, details::text AS details,
               CASE WHEN is_leader THEN
                   (SELECT exchange_time FROM exchange_clocks WHERE source = $3)
               END AS exchange_time,
               greatest(0, date_part('epoch', clock_timestamp() - beat_at)) AS age_seconds,
               count(*) FILTER (WHERE clock_timestamp() - beat_at < $1 * interval '1 second') OVER () AS instances
        FROM heartbeats
        WHERE service = $2
        ORDER BY is_leader AND clock_timestamp() - beat_at < $1 * interval '1 second' DESC, beat_at DESC
        LIMIT 1
        """,
        SILENT_SECONDS,
        service,
        source,
    )
