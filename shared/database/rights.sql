-- What each role may do, and no more. `python -m shared.database migrate` runs it each time, on the newest schema, so
-- that rights are complete after a restore too, where the roles were not there yet. Numbered files grant nothing.
-- Nobody may delete a tick, and no correction can touch its key or created_at.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON FUNCTION exchange_now(text), refresh_rollups(text, timestamptz, timestamptz) FROM PUBLIC;
REVOKE ALL ON FUNCTION are_nested_intervals(smallint[], numeric[], numeric[]) FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM collector, predictor, api;
GRANT USAGE ON SCHEMA public TO collector, predictor, api;
GRANT EXECUTE ON FUNCTION exchange_now(text) TO collector, predictor, api;
GRANT EXECUTE ON FUNCTION refresh_rollups(text, timestamptz, timestamptz) TO collector;
GRANT EXECUTE ON FUNCTION are_nested_intervals(smallint[], numeric[], numeric[]) TO predictor;

GRANT SELECT ON collected_symbols, ticks, hourly_rollups, daily_rollups, absences, heartbeats, exchange_clocks
TO collector, predictor, api;

GRANT INSERT ON ticks TO collector;
GRANT UPDATE (
    open, high, low, close, volume, quote_volume, trades, taker_base_volume, taker_quote_volume, source, corrected_at
) ON ticks TO collector;
GRANT INSERT, UPDATE ON hourly_rollups, daily_rollups, collected_symbols, exchange_clocks TO collector;
GRANT INSERT, UPDATE, DELETE ON absences, heartbeats TO collector;
GRANT SELECT, INSERT, UPDATE ON leadership, exchange_pauses TO collector;

GRANT SELECT ON models, trainings, forecasts, forecast_scores, predictor_status TO predictor, api;
GRANT INSERT, UPDATE ON models, forecast_scores, predictor_status TO predictor;
GRANT INSERT ON trainings TO predictor;
GRANT INSERT (
    symbol, made_at, horizon_minutes, target_time, expires_at, base_price, point, levels, lower_bounds, upper_bounds,
    volatility, probability_up, model_version
) ON forecasts TO predictor;
GRANT SELECT, INSERT, DELETE ON forecasts_due TO predictor;
GRANT INSERT, UPDATE, DELETE ON heartbeats TO predictor;
