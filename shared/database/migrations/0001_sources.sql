-- Several exchanges beside one another: each has its clock and its pause, and may leave amounts untold.

-- A database that was not migrated for long may lack these two.
ALTER TABLE collected_symbols ADD COLUMN IF NOT EXISTS until timestamptz;
ALTER TABLE absences ADD COLUMN IF NOT EXISTS is_refused boolean NOT NULL DEFAULT false;

ALTER TABLE ticks
    ALTER COLUMN quote_volume DROP NOT NULL,
    ALTER COLUMN trades DROP NOT NULL,
    ALTER COLUMN taker_base_volume DROP NOT NULL,
    ALTER COLUMN taker_quote_volume DROP NOT NULL;
ALTER TABLE hourly_rollups
    ALTER COLUMN quote_volume DROP NOT NULL,
    ALTER COLUMN trades DROP NOT NULL,
    ALTER COLUMN taker_base_volume DROP NOT NULL,
    ALTER COLUMN taker_quote_volume DROP NOT NULL;
ALTER TABLE daily_rollups
    ALTER COLUMN quote_volume DROP NOT NULL,
    ALTER COLUMN trades DROP NOT NULL,
    ALTER COLUMN taker_base_volume DROP NOT NULL,
    ALTER COLUMN taker_quote_volume DROP NOT NULL;

CREATE TABLE exchange_clocks (
    source          text        PRIMARY KEY,
    exchange_time   timestamptz NOT NULL,
    told_at         timestamptz NOT NULL
);
INSERT INTO exchange_clocks (source, exchange_time, told_at)
SELECT 'binance', exchange_time, beat_at
FROM heartbeats
WHERE service = 'collector'
  AND exchange_time IS NOT NULL
  AND beat_at <= clock_timestamp()
ORDER BY beat_at DESC
LIMIT 1;

CREATE TABLE exchange_pauses (
    source      text        PRIMARY KEY,
    until       timestamptz NOT NULL,
    reason      text        NOT NULL
);
INSERT INTO exchange_pauses (source, until, reason)
SELECT 'binance', until, reason
FROM exchange_pause;
DROP TABLE exchange_pause;

CREATE FUNCTION exchange_now(wanted_symbol text DEFAULT NULL) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN coalesce(
    (
        SELECT exchange_time + (clock_timestamp() - told_at)
        FROM public.exchange_clocks
        WHERE source = CASE WHEN strpos(wanted_symbol, ':') > 0 THEN split_part(wanted_symbol, ':', 1) ELSE 'binance' END
          -- One from the future was told before this server's clock was set back.
          AND told_at <= clock_timestamp()
    ),
    clock_timestamp()
);

CREATE OR REPLACE FUNCTION refresh_rollups(wanted_symbol text, range_start timestamptz, range_end timestamptz)
RETURNS void
LANGUAGE sql
SET timezone = 'UTC'
BEGIN ATOMIC
    INSERT INTO public.hourly_rollups AS rollup (
        symbol, hour, count, minutes, open, high, low, close, volume, quote_volume, trades,
        taker_base_volume, taker_quote_volume, closes, source, created_at
    )
    SELECT wanted_symbol, hour, count, minutes,
           (SELECT open FROM public.ticks WHERE symbol = wanted_symbol AND minute = first_minute),
           high,
           low,
           (SELECT close FROM public.ticks WHERE symbol = wanted_symbol AND minute = last_minute),
           volume, quote_volume, trades, taker_base_volume, taker_quote_volume, closes, source, created_at
    FROM (
        -- Aggregating what comes in order, and looking the first and last row up, takes 0.6 of the time that
        -- ordered aggregates of every column take.
        SELECT date_bin('1 hour', minute, '2000-01-01Z') AS hour,
               count(*) AS count,
               bit_or(1::bigint << date_part('minute', minute)::integer) AS minutes,
               min(minute) AS first_minute,
               max(minute) AS last_minute,
               max(high) AS high,
               min(low) AS low,
               sum(volume) AS volume,
               CASE WHEN count(quote_volume) = count(*) THEN sum(quote_volume) END AS quote_volume,
               CASE WHEN count(trades) = count(*) THEN sum(trades) END AS trades,
               CASE WHEN count(taker_base_volume) = count(*) THEN sum(taker_base_volume) END AS taker_base_volume,
               CASE WHEN count(taker_quote_volume) = count(*) THEN sum(taker_quote_volume) END AS taker_quote_volume,
               string_agg(float8send(close::float8), ''::bytea) AS closes,
               CASE WHEN min(source) = max(source) THEN min(source) ELSE 'mixed' END AS source,
               max(created_at) AS created_at
        FROM (
            SELECT *
            FROM public.ticks
            WHERE symbol = wanted_symbol
              AND minute >= date_bin('1 hour', range_start, '2000-01-01Z')
              AND minute < date_bin('1 hour', range_end - interval '1 microsecond', '2000-01-01Z') + interval '1 hour'
            ORDER BY minute
        ) AS tick
        GROUP BY hour
    ) AS hours
    ON CONFLICT (symbol, hour) DO UPDATE
    SET count = excluded.count, minutes = excluded.minutes, open = excluded.open, high = excluded.high,
        low = excluded.low, close = excluded.close, volume = excluded.volume, quote_volume = excluded.quote_volume,
        trades = excluded.trades, taker_base_volume = excluded.taker_base_volume,
        taker_quote_volume = excluded.taker_quote_volume, closes = excluded.closes, source = excluded.source,
        created_at = excluded.created_at;

    INSERT INTO public.daily_rollups AS rollup (
        symbol, day, count, open, high, low, close, volume, quote_volume, trades,
        taker_base_volume, taker_quote_volume, source, created_at
    )
    SELECT symbol,
           date_bin('1 day', hour, '2000-01-01Z') AS day,
           sum(count),
           (array_agg(open ORDER BY hour))[1],
           max(high),
           min(low),
           (array_agg(close ORDER BY hour))[count(*)],
           sum(volume),
           CASE WHEN count(quote_volume) = count(*) THEN sum(quote_volume) END,
           CASE WHEN count(trades) = count(*) THEN sum(trades) END,
           CASE WHEN count(taker_base_volume) = count(*) THEN sum(taker_base_volume) END,
           CASE WHEN count(taker_quote_volume) = count(*) THEN sum(taker_quote_volume) END,
           CASE WHEN min(source) = max(source) THEN min(source) ELSE 'mixed' END,
           max(created_at)
    FROM public.hourly_rollups
    WHERE symbol = wanted_symbol
      AND hour >= date_bin('1 day', range_start, '2000-01-01Z')
      AND hour < date_bin('1 day', range_end - interval '1 microsecond', '2000-01-01Z') + interval '1 day'
    GROUP BY symbol, date_bin('1 day', hour, '2000-01-01Z')
    ON CONFLICT (symbol, day) DO UPDATE
    SET count = excluded.count, open = excluded.open, high = excluded.high, low = excluded.low,
        close = excluded.close, volume = excluded.volume, quote_volume = excluded.quote_volume,
        trades = excluded.trades, taker_base_volume = excluded.taker_base_volume,
        taker_quote_volume = excluded.taker_quote_volume, source = excluded.source, created_at = excluded.created_at;
END;

CREATE OR REPLACE FUNCTION refuse_late_forecast() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF NEW.target_time <= public.exchange_now(NEW.symbol) THEN
        RAISE EXCEPTION 'a forecast of % is written after its target', NEW.target_time
        USING ERRCODE = 'check_violation', CONSTRAINT = 'forecast_precedes_its_target';
    END IF;
    RETURN NEW;
END
$$;
DROP FUNCTION exchange_now();
ALTER TABLE heartbeats DROP COLUMN exchange_time;
