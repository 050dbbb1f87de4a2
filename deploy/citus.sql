-- Spreads a migrated database over the workers of a Citus cluster, by symbol: run it once, as the owner, on the
-- coordinator, before there is much data (docs/scaling.md). What belongs to one symbol lies together on one worker, so
-- every statement of the services, each of which names its symbol, is answered by one worker as a whole.
CREATE EXTENSION IF NOT EXISTS citus;

-- All of it or nothing.
BEGIN;
-- Citus spreads a table with triggers only if told that they look at nothing outside their row's shard; ours looks at the
-- forecast and at exchange_now(), which reads tables that every worker has.
SET LOCAL citus.enable_unsafe_triggers TO on;

-- The largest one says how many shards there are; all others are placed beside it, row by row of a symbol.
SELECT create_distributed_table('ticks', 'symbol', shard_count => 64);
SELECT create_distributed_table('hourly_rollups', 'symbol', colocate_with => 'ticks');
SELECT create_distributed_table('daily_rollups', 'symbol', colocate_with => 'ticks');
SELECT create_distributed_table('absences', 'symbol', colocate_with => 'ticks');
-- Forecasts refer to models, so those come first.
SELECT create_distributed_table('models', 'symbol', colocate_with => 'ticks');
SELECT create_distributed_table('trainings', 'symbol', colocate_with => 'ticks');
SELECT create_distributed_table('forecasts', 'symbol', colocate_with => 'ticks');
SELECT create_distributed_table('forecasts_due', 'symbol', colocate_with => 'ticks');
SELECT create_distributed_table('forecast_scores', 'symbol', colocate_with => 'ticks');

-- A row or two for each symbol or process, read in every answer: a copy on each worker.
SELECT create_reference_table('collected_symbols');
SELECT create_reference_table('predictor_status');
-- exchange_now() reads it, beside the ticks of any worker.
SELECT create_reference_table('heartbeats');

-- The lease and the exchange's pause stay on the coordinator: one row each, which its transactions lock.
SELECT citus_add_local_table_to_metadata('leadership');
SELECT citus_add_local_table_to_metadata('exchange_pause');

-- The function that recomputes rollups runs where its symbol is.
SELECT create_distributed_function(
    'refresh_rollups(text, timestamptz, timestamptz)', 'wanted_symbol', colocate_with => 'ticks'
);
COMMIT;
