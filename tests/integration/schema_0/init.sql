-- The whole schema, idempotent. `python -m shared.database migrate` runs it in one transaction under an advisory lock,
-- and nothing else reads it. Every key begins with `symbol`, so that the tables can be spread by it.
-- Roles and their passwords come from migrate; what each role may do stands at the end of this file.

CREATE TABLE IF NOT EXISTS collected_symbols (
    symbol      text        PRIMARY KEY,
    position    integer     NOT NULL,   -- the order of COLLECTOR_SYMBOLS; the API's default symbol is the first
    since       timestamptz NOT NULL,   -- the record is meant to be whole from here to the newest closed minute
    until       timestamptz             -- or to here, where collecting it was given up
);
ALTER TABLE collected_symbols ADD COLUMN IF NOT EXISTS until timestamptz;

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

-- The gap ledger: runs [start_minute, end_minute) that the exchange was asked for in vain, and when to ask again. A
-- minute missing from ticks and named here is `source_absent`, unless the rows it came in were refused; every other one
-- is `not_collected`. So the two cannot disagree.
CREATE TABLE IF NOT EXISTS absences (
    symbol          text        NOT NULL,
    start_minute    timestamptz NOT NULL,
    end_minute      timestamptz NOT NULL,
    first_asked_at  timestamptz NOT NULL,
    asked_at        timestamptz NOT NULL,
    times_asked     integer     NOT NULL,
    ask_again_at    timestamptz NOT NULL,
    is_refused      boolean     NOT NULL DEFAULT false,     -- it has rows for them, but none that can be a minute's
    PRIMARY KEY (symbol, start_minute),
    CONSTRAINT run_is_not_empty CHECK (start_minute < end_minute)
);
ALTER TABLE absences ADD COLUMN IF NOT EXISTS is_refused boolean NOT NULL DEFAULT false;

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

-- A model that a training made and the registry keeps, under the registry's own version, with what the gate decided.
CREATE TABLE IF NOT EXISTS models (
    symbol              text        NOT NULL,
    version             integer     NOT NULL,
    name                text        NOT NULL,
    run_id              text        NOT NULL,
    trained_at          timestamptz NOT NULL,
    trained_from        timestamptz NOT NULL,
    trained_to          timestamptz NOT NULL,
    data_digest         text        NOT NULL,
    feature_version     integer     NOT NULL,
    horizons            integer[]   NOT NULL,
    was_promoted        boolean     NOT NULL,
    decision            text        NOT NULL,
    metrics             jsonb       NOT NULL DEFAULT '{}',
    promoted_at         timestamptz,            -- when it first became the champion, as the predictor knows it
    PRIMARY KEY (symbol, version)
);

-- Every attempt to train, with its end: a failed one says why.
CREATE TABLE IF NOT EXISTS trainings (
    symbol      text        NOT NULL,
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL,
    outcome     text        NOT NULL CHECK (outcome IN ('promoted', 'kept', 'failed')),
    reason      text        NOT NULL,
    version     integer,
    PRIMARY KEY (symbol, started_at),
    CONSTRAINT success_has_a_version CHECK ((outcome = 'failed') = (version IS NULL))
);

-- One forecast of the price at target_time, made at the close of the minute before made_at; never changed.
CREATE TABLE IF NOT EXISTS forecasts (
    symbol              text        NOT NULL,
    made_at             timestamptz NOT NULL,
    horizon_minutes     integer     NOT NULL,
    target_time         timestamptz NOT NULL,
    expires_at          timestamptz NOT NULL,   -- from then on it is not served as if it were fresh
    base_price          numeric     NOT NULL,
    point               numeric     NOT NULL,
    lower_50            numeric     NOT NULL,
    upper_50            numeric     NOT NULL,
    lower_80            numeric     NOT NULL,
    upper_80            numeric     NOT NULL,
    lower_95            numeric     NOT NULL,
    upper_95            numeric     NOT NULL,
    volatility          float8      NOT NULL,   -- standard deviation of the log return over the horizon
    probability_up      float8      NOT NULL,
    model_version       integer     NOT NULL,
    created_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (symbol, made_at, horizon_minutes),
    FOREIGN KEY (symbol, model_version) REFERENCES models (symbol, version),
    CONSTRAINT made_at_is_on_the_grid CHECK (date_bin('1 minute', made_at, '2000-01-01Z') = made_at),
    CONSTRAINT target_is_the_horizon_ahead CHECK (
        horizon_minutes > 0 AND target_time = made_at + make_interval(mins => horizon_minutes)
    ),
    CONSTRAINT expires_later CHECK (expires_at > made_at),
    CONSTRAINT intervals_are_nested CHECK (
        0 < lower_95 AND lower_95 <= lower_80 AND lower_80 <= lower_50 AND lower_50 <= upper_50
        AND upper_50 <= upper_80 AND upper_80 <= upper_95 AND upper_95 < 1e300
    ),
    CONSTRAINT prices_are_prices CHECK (0 < base_price AND base_price < 1e300 AND 0 < point AND point < 1e300),
    CONSTRAINT volatility_is_finite CHECK (0 < volatility AND volatility < 'Infinity'),
    CONSTRAINT probability_is_one CHECK (0 <= probability_up AND probability_up <= 1)
);

-- The forecasts that are not scored yet: due from their target on, and left until every minute of it is there.
CREATE TABLE IF NOT EXISTS forecasts_due (
    symbol              text        NOT NULL,
    target_time         timestamptz NOT NULL,
    made_at             timestamptz NOT NULL,
    horizon_minutes     integer     NOT NULL,
    PRIMARY KEY (symbol, target_time, made_at, horizon_minutes)
);

-- What became of a forecast, with naive's error beside its own. Winkler scores and the pinball loss, a mean over the
-- quantiles 2.5, 10, 25, 50, 75, 90 and 97.5 %, are in quote currency. A correction of a minute scores it again.
CREATE TABLE IF NOT EXISTS forecast_scores (
    symbol                  text        NOT NULL,
    made_at                 timestamptz NOT NULL,
    horizon_minutes         integer     NOT NULL,
    target_time             timestamptz NOT NULL,
    actual_price            numeric     NOT NULL,
    realised_variance       float8      NOT NULL,   -- summed squares of the one-minute log returns up to the target
    absolute_error          numeric     NOT NULL,
    naive_absolute_error    numeric     NOT NULL,
    covered_50              boolean     NOT NULL,
    covered_80              boolean     NOT NULL,
    covered_95              boolean     NOT NULL,
    winkler_50              float8      NOT NULL,
    winkler_80              float8      NOT NULL,
    winkler_95              float8      NOT NULL,
    pinball                 float8      NOT NULL,
    qlike                   float8,                 -- null where nothing moved
    scored_at               timestamptz NOT NULL DEFAULT now(),
    rescored_at             timestamptz,
    PRIMARY KEY (symbol, made_at, horizon_minutes)
);

-- Whether the predictor forecasts a symbol now, and if not, why not.
CREATE TABLE IF NOT EXISTS predictor_status (
    symbol              text        PRIMARY KEY,
    checked_at          timestamptz NOT NULL,
    forecasts           boolean     NOT NULL,
    reason              text,                       -- null while it forecasts
    made_at             timestamptz,                -- of the newest forecast that this predictor saw written
    model_version       integer,                    -- of the model that it forecasts with
    registry_reason     text,                       -- why the registry cannot be asked; null while it can
    next_training_at    timestamptz,
    CONSTRAINT silence_has_a_reason CHECK (forecasts = (reason IS NULL))
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

-- A forecast is written before its target or not at all.
CREATE OR REPLACE FUNCTION refuse_late_forecast() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF NEW.target_time <= public.exchange_now() THEN
        RAISE EXCEPTION 'a forecast of % is written after its target', NEW.target_time
        USING ERRCODE = 'check_violation', CONSTRAINT = 'forecast_precedes_its_target';
    END IF;
    RETURN NEW;
END
$$;
CREATE OR REPLACE TRIGGER forecast_precedes_its_target
BEFORE INSERT ON forecasts
FOR EACH ROW EXECUTE FUNCTION refuse_late_forecast();

-- Made only where they are missing: even a statement that finds them there would wait for every writer.
DO $$
BEGIN
    -- Corrections are few; by them the scores are found that they touch.
    IF to_regclass('public.ticks_corrected') IS NULL THEN
        CREATE INDEX ticks_corrected ON public.ticks (symbol, corrected_at) WHERE corrected_at IS NOT NULL;
    END IF;
    -- A service speaks for itself alone: the exchange's time comes from what the collector says.
    IF NOT EXISTS (SELECT FROM pg_policies WHERE schemaname = 'public' AND tablename = 'heartbeats') THEN
        ALTER TABLE public.heartbeats ENABLE ROW LEVEL SECURITY;
        CREATE POLICY everyone_reads ON public.heartbeats FOR SELECT USING (true);
        CREATE POLICY own_row ON public.heartbeats USING (service = current_user) WITH CHECK (service = current_user);
    END IF;
END
$$;

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

GRANT SELECT ON models, trainings, forecasts, forecast_scores, predictor_status TO predictor, api;
GRANT INSERT, UPDATE ON models, forecast_scores, predictor_status TO predictor;
GRANT INSERT ON trainings TO predictor;
GRANT INSERT (
    symbol, made_at, horizon_minutes, target_time, expires_at, base_price, point, lower_50, upper_50, lower_80, upper_80,
    lower_95, upper_95, volatility, probability_up, model_version
) ON forecasts TO predictor;
GRANT SELECT, INSERT, DELETE ON forecasts_due TO predictor;
GRANT INSERT, UPDATE, DELETE ON heartbeats TO predictor;
