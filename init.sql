-- The whole schema, idempotent. `python -m shared.database migrate` runs it in one transaction under an advisory lock,
-- and nothing else reads it. Every key begins with `symbol`, so that the tables can be spread by it.
-- Roles and their passwords come from migrate; what each role may do stands at the end of this file.

CREATE TABLE IF NOT EXISTS collected_symbols (
    symbol      text        PRIMARY KEY,
    position    integer     NOT NULL,   -- the order of COLLECTOR_SYMBOLS; the API's default symbol is the first
    since       timestamptz NOT NULL    -- the record is meant to be whole from here to the newest closed minute
);

-- One closed minute, keyed by its open. A correction changes the values and corrected_at, never created_at.
CREATE TABLE IF NOT EXISTS ticks (
    symbol              text        NOT NULL,
    minute              timestamptz NOT NULL,
    open                numeric     NOT NULL,
    high                numeric     NOT NULL,
    low                 numeric     NOT NULL,
    close               numeric     NOT NULL,
    volume              numeric     NOT NULL,
    quote_volume        numeric     NOT NULL,
    trades              bigint      NOT NULL,
    taker_base_volume   numeric     NOT NULL,
    taker_quote_volume  numeric     NOT NULL,
    source              text        NOT NULL,
    created_at          timestamptz NOT NULL DEFAULT now(),
    corrected_at        timestamptz,
    PRIMARY KEY (symbol, minute),
    -- As collector/klines.py has it. NaN sorts above every number in Postgres, so an upper bound refuses it too.
    CONSTRAINT prices_are_ordered CHECK (
        0 < low AND low <= open AND low <= close AND open <= high AND close <= high AND high < 1e300
    ),
    CONSTRAINT amounts_are_finite CHECK (
        volume >= 0 AND volume < 1e300 AND quote_volume >= 0 AND quote_volume < 1e300
        AND trades >= 0 AND trades < 1000000000000000   -- so that a day's sum is a bigint
        AND taker_base_volume >= 0 AND taker_base_volume < 1e300
        AND taker_quote_volume >= 0 AND taker_quote_volume < 1e300
    ),
    CONSTRAINT minute_is_on_the_grid CHECK (date_bin('1 minute', minute, '2000-01-01Z') = minute)
);

-- The ticks of one hour. `minutes` has bit m set where minute m is there; `closes` holds those closes in order, for
-- statistics: thirty days are read as 720 rows rather than 43,200. They are big-endian floats of 8 bytes, one behind the
-- other, because they travel like that: a float8[] takes four times as long to be sent.
CREATE TABLE IF NOT EXISTS hourly_rollups (
    symbol              text        NOT NULL,
    hour                timestamptz NOT NULL,
    count               smallint    NOT NULL,
    minutes             bigint      NOT NULL,
    open                numeric     NOT NULL,
    high                numeric     NOT NULL,
    low                 numeric     NOT NULL,
    close               numeric     NOT NULL,
    volume              numeric     NOT NULL,
    quote_volume        numeric     NOT NULL,
    trades              bigint      NOT NULL,
    taker_base_volume   numeric     NOT NULL,
    taker_quote_volume  numeric     NOT NULL,
    closes              bytea       NOT NULL,
    source              text        NOT NULL,   -- 'mixed' where the ticks have several
    created_at          timestamptz NOT NULL,   -- the newest of its ticks'
    PRIMARY KEY (symbol, hour)
);

CREATE TABLE IF NOT EXISTS daily_rollups (
    symbol              text        NOT NULL,
    day                 timestamptz NOT NULL,
    count               smallint    NOT NULL,
    open                numeric     NOT NULL,
    high                numeric     NOT NULL,
    low                 numeric     NOT NULL,
    close               numeric     NOT NULL,
    volume              numeric     NOT NULL,
    quote_volume        numeric     NOT NULL,
    trades              bigint      NOT NULL,
    taker_base_volume   numeric     NOT NULL,
    taker_quote_volume  numeric     NOT NULL,
    source              text        NOT NULL,
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (symbol, day)
);

-- The gap ledger: runs [start_minute, end_minute) that the exchange was asked for and does not have. A minute missing
-- from ticks and named here is `source_absent`; missing and not named here, `not_collected`. So the two cannot disagree.
CREATE TABLE IF NOT EXISTS absences (
    symbol          text        NOT NULL,
    start_minute    timestamptz NOT NULL,
    end_minute      timestamptz NOT NULL,
    first_asked_at  timestamptz NOT NULL,
    asked_at        timestamptz NOT NULL,
    times_asked     integer     NOT NULL,
    ask_again_at    timestamptz NOT NULL,
    PRIMARY KEY (symbol, start_minute),
    CONSTRAINT run_is_not_empty CHECK (start_minute < end_minute)
);

-- Who may write: a lease on the database's clock. Each change of holder raises `epoch`, and every write proves its
-- epoch in its own transaction, so that a leader that was paused and wakes up cannot write.
CREATE TABLE IF NOT EXISTS leadership (
    service     text        PRIMARY KEY,
    holder      text        NOT NULL,
    epoch       bigint      NOT NULL,
    renewed_at  timestamptz NOT NULL
);

-- A process that is alive, and what it last saw. `exchange_time` is the exchange's clock at `beat_at`.
CREATE TABLE IF NOT EXISTS heartbeats (
    service         text        NOT NULL,
    instance        text        NOT NULL,
    started_at      timestamptz NOT NULL,
    beat_at         timestamptz NOT NULL,
    is_leader       boolean     NOT NULL,
    exchange_time   timestamptz,
    details         jsonb       NOT NULL DEFAULT '{}',
    PRIMARY KEY (service, instance)
);

-- "Come back later" from the exchange (429, 418), kept here so that a restart does not forget it.
CREATE TABLE IF NOT EXISTS exchange_pause (
    only_row    boolean     PRIMARY KEY DEFAULT true CHECK (only_row),
    until       timestamptz NOT NULL,
    reason      text        NOT NULL
);

-- Now, by the exchange's clock: what decides that a minute is closed or missing. Ahead of the first heartbeat, the database's own clock.
CREATE OR REPLACE FUNCTION exchange_now() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN coalesce(
    (
        SELECT exchange_time + (clock_timestamp() - beat_at)
        FROM public.heartbeats
        -- One from the future is of a time when this clock was ahead.
        WHERE service = 'collector' AND exchange_time IS NOT NULL AND beat_at <= clock_timestamp()
        ORDER BY beat_at DESC
        LIMIT 1
    ),
    clock_timestamp()
);

-- Recompute the hours and days that [range_start, range_end) touches. Runs in the transaction that changed the ticks.
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
               sum(quote_volume) AS quote_volume,
               sum(trades) AS trades,
               sum(taker_base_volume) AS taker_base_volume,
               sum(taker_quote_volume) AS taker_quote_volume,
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
           sum(quote_volume),
           sum(trades),
           sum(taker_base_volume),
           sum(taker_quote_volume),
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

-- What each role may do, and no more. Nobody may delete a tick, and no correction can touch its key or created_at.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON FUNCTION exchange_now(), refresh_rollups(text, timestamptz, timestamptz) FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM collector, predictor, api;
GRANT USAGE ON SCHEMA public TO collector, predictor, api;
GRANT EXECUTE ON FUNCTION exchange_now() TO collector, predictor, api;
GRANT EXECUTE ON FUNCTION refresh_rollups(text, timestamptz, timestamptz) TO collector;

GRANT SELECT ON collected_symbols, ticks, hourly_rollups, daily_rollups, absences, heartbeats TO collector, predictor, api;

GRANT INSERT ON ticks TO collector;
GRANT UPDATE (
    open, high, low, close, volume, quote_volume, trades, taker_base_volume, taker_quote_volume, source, corrected_at
) ON ticks TO collector;
GRANT INSERT, UPDATE ON hourly_rollups, daily_rollups, collected_symbols TO collector;
GRANT INSERT, UPDATE, DELETE ON absences, heartbeats TO collector;
GRANT SELECT, INSERT, UPDATE ON leadership, exchange_pause TO collector;
