-- Some rows of every table of version 0, as its services left them.
INSERT INTO collected_symbols (symbol, position, since, until) VALUES
    ('BTCUSDT', 0, '2024-03-01Z', NULL),
    ('ETHUSDT', 1, '2024-03-02Z', '2024-03-04Z');
INSERT INTO ticks (
    symbol, minute, open, high, low, close, volume, quote_volume, trades, taker_base_volume, taker_quote_volume, source,
    created_at, corrected_at
) VALUES
    ('BTCUSDT', '2024-03-05 00:00Z', 65000.01, 65010, 64990.5, 65001.10, 1.5, 97501.65, 120, 0.7, 45500.77, 'rest',
     '2024-03-05 00:01:01Z', NULL),
    ('BTCUSDT', '2024-03-05 00:01Z', 65001.10, 65020, 65001.10, 65015, 0, 0, 0, 0, 0, 'stream', '2024-03-05 00:02:01Z',
     '2024-03-05 00:05:00Z'),
    ('ETHUSDT', '2024-03-03 12:00Z', 3500, 3501, 3499, 3500.5, 10, 35000, 90, 4, 14000, 'archive',
     '2024-03-03 13:00:00Z', NULL);
SELECT refresh_rollups('BTCUSDT', '2024-03-05Z', '2024-03-06Z'), refresh_rollups('ETHUSDT', '2024-03-03Z', '2024-03-04Z');
INSERT INTO absences (
    symbol, start_minute, end_minute, first_asked_at, asked_at, times_asked, ask_again_at, is_refused
) VALUES
    ('BTCUSDT', '2024-03-05 00:02Z', '2024-03-05 00:04Z', '2024-03-05 00:05Z', '2024-03-05 01:05Z', 2,
     '2024-03-05 03:05Z', false),
    ('BTCUSDT', '2024-03-05 00:09Z', '2024-03-05 00:10Z', '2024-03-05 00:11Z', '2024-03-05 00:11Z', 1,
     '2024-03-05 01:11Z', true);
INSERT INTO leadership (service, holder, epoch, renewed_at) VALUES ('collector', 'host-1', 7, '2024-03-05 00:05Z');
INSERT INTO heartbeats (service, instance, started_at, beat_at, is_leader, exchange_time, details) VALUES
    ('collector', 'host-1', '2024-03-05Z', '2024-03-05 00:05Z', true, '2024-03-05 00:05:00.250Z', '{"stream": "open"}'),
    ('collector', 'host-2', '2024-03-05Z', '2024-03-05 00:04Z', false, NULL, '{}'),
    ('predictor', 'host-1', '2024-03-05Z', '2024-03-05 00:05Z', true, NULL, '{}');
INSERT INTO exchange_pause (reason, until) VALUES ('HTTP 429', '2024-03-05 00:06Z');
INSERT INTO models (
    symbol, version, name, run_id, trained_at, trained_from, trained_to, data_digest, feature_version, horizons,
    was_promoted, decision, metrics, promoted_at
) VALUES
    ('BTCUSDT', 1, 'minutebook-BTCUSDT', 'a1', '2024-03-05Z', '2024-02-01Z', '2024-03-05Z', 'digest', 3, '{15,60}', true,
     'the first model', '{"15": 0.5}', '2024-03-05Z');
INSERT INTO trainings (symbol, started_at, ended_at, outcome, reason, version) VALUES
    ('BTCUSDT', '2024-03-04 23:59Z', '2024-03-05Z', 'promoted', 'the first model', 1),
    ('BTCUSDT', '2024-03-04 22:59Z', '2024-03-04 23:00Z', 'failed', 'too little history', NULL);
-- Disabled as one who restores a dump has it: the forecasts' targets are past.
ALTER TABLE forecasts DISABLE TRIGGER forecast_precedes_its_target;
INSERT INTO forecasts (
    symbol, made_at, horizon_minutes, target_time, expires_at, base_price, point, lower_50, upper_50, lower_80, upper_80,
    lower_95, upper_95, volatility, probability_up, model_version, created_at
) VALUES
    ('BTCUSDT', '2024-03-05 00:02Z', 15, '2024-03-05 00:17Z', '2024-03-05 00:05Z', 65015, 65015.5, 64990, 65040, 64960,
     65070, 64920, 65111.11, 0.001, 0.51, 1, '2024-03-05 00:02:02Z'),
    ('BTCUSDT', '2024-03-05 00:02Z', 60, '2024-03-05 01:02Z', '2024-03-05 00:05Z', 65015, 65016, 64900, 65100, 64800,
     65200, 64700, 65300, 0.002, 0.5, 1, '2024-03-05 00:02:02Z');
ALTER TABLE forecasts ENABLE TRIGGER forecast_precedes_its_target;
INSERT INTO forecasts_due (symbol, target_time, made_at, horizon_minutes) VALUES
    ('BTCUSDT', '2024-03-05 01:02Z', '2024-03-05 00:02Z', 60);
INSERT INTO forecast_scores (
    symbol, made_at, horizon_minutes, target_time, actual_price, realised_variance, absolute_error, naive_absolute_error,
    covered_50, covered_80, covered_95, winkler_50, winkler_80, winkler_95, pinball, qlike, scored_at, rescored_at
) VALUES
    ('BTCUSDT', '2024-03-05 00:02Z', 15, '2024-03-05 00:17Z', 65050, 0.000001, 34.5, 35, false, true, true, 90, 110,
     191.11, 12.25, NULL, '2024-03-05 00:18Z', '2024-03-05 00:20Z');
INSERT INTO predictor_status (
    symbol, checked_at, forecasts, reason, made_at, model_version, registry_reason, next_training_at
) VALUES
    ('BTCUSDT', '2024-03-05 00:05Z', true, NULL, '2024-03-05 00:02Z', 1, NULL, '2024-03-06Z'),
    ('ETHUSDT', '2024-03-05 00:05Z', false, 'no model yet', NULL, NULL, 'it does not answer', NULL);
