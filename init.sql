-- The whole schema, for a new database: `python -m shared.database migrate` runs it there, once. A change of it comes
-- with a file in shared/database/migrations that does the same to databases that exist. Roles and their passwords come from
-- migrate, and what each role may do from shared/database/rights.sql.

CREATE TABLE collected_symbols (
    symbol      text        PRIMARY KEY,
    position    integer     NOT NULL,   -- the order of COLLECTOR_SYMBOLS; the API's default symbol is the first
    since       timestamptz NOT NULL,   -- the record is meant to be whole from here to the newest closed minute
    until       timestamptz             -- or to here, where collecting it was given up
);

-- One closed minute, keyed by its open. A correction changes the values and corrected_at, never created_at. An amount is
-- null where the source does not tell it.
CREATE TABLE ticks (
    symbol              text        NOT NULL,
    minute              timestamptz NOT NULL,
    open                numeric     NOT NULL,
    high                numeric     NOT NULL,
    low                 numeric     NOT NULL,
    close               numeric     NOT NULL,
    volume              numeric     NOT NULL,
    quote_volume        numeric,
    trades              bigint,
    taker_base_volume   numeric,
    taker_quote_volume  numeric,
    source              text        NOT NULL,
    created_at          timestamptz NOT NULL DEFAULT now(),
    corrected_at        timestamptz,
    PRIMARY KEY (symbol, minute),
    -- As collector/sources/binance/klines.py has it. NaN sorts above every number in Postgres, so an upper bound refuses
    -- it too.
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
-- Corrections are few; by them the scores are found that they touch.
CREATE INDEX ticks_corrected ON ticks (symbol, corrected_at) WHERE corrected_at IS NOT NULL;

-- The ticks of one hour. `minutes` has bit m set where minute m is there; `closes` holds those closes in order, for
-- statistics: thirty days are read as 720 rows rather than 43,200. They are big-endian floats of 8 bytes, one behind the
-- other, because they travel like that: a float8[] takes four times as long to be sent. A sum is null where one of its
-- minutes has none.
CREATE TABLE hourly_rollups (
    symbol              text        NOT NULL,
    hour                timestamptz NOT NULL,
    count               smallint    NOT NULL,
    minutes             bigint      NOT NULL,
    open                numeric     NOT NULL,
    high                numeric     NOT NULL,
    low                 numeric     NOT NULL,
    close               numeric     NOT NULL,
    volume              numeric     NOT NULL,
    quote_volume        numeric,
    trades              bigint,
    taker_base_volume   numeric,
    taker_quote_volume  numeric,
    closes              bytea       NOT NULL,
    source              text        NOT NULL,   -- 'mixed' where the ticks have several
    created_at          timestamptz NOT NULL,   -- the newest of its ticks'
    PRIMARY KEY (symbol, hour)
);

CREATE TABLE daily_rollups (
    symbol              text        NOT NULL,
    day                 timestamptz NOT NULL,
    count               smallint    NOT NULL,
    open                numeric     NOT NULL,
    high                numeric     NOT NULL,
    low                 numeric     NOT NULL,
    close               numeric     NOT NULL,
    volume              numeric     NOT NULL,
    quote_volume        numeric,
    trades              bigint,
    taker_base_volume   numeric,
    taker_quote_volume  numeric,
    source              text        NOT NULL,
    created_at          timestamptz NOT NULL,
    PRIMARY KEY (symbol, day)
);

-- The gap ledger: runs [start_minute, end_minute) that the exchange was asked for in vain, and when to ask again. A
-- minute missing from ticks and named here is `source_absent`, unless the rows it came in were refused; every other one
-- is `not_collected`. So the two cannot disagree.
CREATE TABLE absences (
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

-- Who may write: a lease on the database's clock. Each change of holder raises `epoch`, and every write proves its
-- epoch in its own transaction, so that a leader that was paused and wakes up cannot write.
CREATE TABLE leadership (
    service     text        PRIMARY KEY,
    holder      text        NOT NULL,
    epoch       bigint      NOT NULL,
    renewed_at  timestamptz NOT NULL
);

-- A process that is alive, and what it has to say.
CREATE TABLE heartbeats (
    service         text        NOT NULL,
    instance        text        NOT NULL,
    started_at      timestamptz NOT NULL,
    beat_at         timestamptz NOT NULL,
    is_leader       boolean     NOT NULL,
    details         jsonb       NOT NULL DEFAULT '{}',
    PRIMARY KEY (service, instance)
);
-- A service speaks for itself alone.
ALTER TABLE heartbeats ENABLE ROW LEVEL SECURITY;
CREATE POLICY everyone_reads ON heartbeats FOR SELECT USING (true);
CREATE POLICY own_row ON heartbeats USING (service = current_user) WITH CHECK (service = current_user);

-- The clock of each exchange that is collected from: what it showed at `told_at`, by the collector that leads.
CREATE TABLE exchange_clocks (
    source          text        PRIMARY KEY,
    exchange_time   timestamptz NOT NULL,
    told_at         timestamptz NOT NULL
);

-- "Come back later" from an exchange (429, 418), kept here so that a restart does not forget it.
CREATE TABLE exchange_pauses (
    source      text        PRIMARY KEY,
    until       timestamptz NOT NULL,
    reason      text        NOT NULL
);

-- A model that a training made and the registry keeps, under the registry's own version, with what the gate decided.
CREATE TABLE models (
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
CREATE TABLE trainings (
    symbol      text        NOT NULL,
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL,
    outcome     text        NOT NULL CHECK (outcome IN ('promoted', 'kept', 'failed')),
    reason      text        NOT NULL,
    version     integer,
    PRIMARY KEY (symbol, started_at),
    CONSTRAINT success_has_a_version CHECK ((outcome = 'failed') = (version IS NULL))
);

-- Whether these are intervals of increasing levels, each one's within the next one's, and all of them prices.
CREATE FUNCTION are_nested_intervals(levels smallint[], lower_bounds numeric[], upper_bounds numeric[])
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN coalesce(
    array_ndims(levels) = 1
    AND array_dims(levels) = array_dims(lower_bounds)
    AND array_dims(levels) = array_dims(upper_bounds)
    AND (
        SELECT bool_and(
            -- A null, or an array that is shorter, makes this null. NaN sorts above every number.
            coalesce(
                1 <= level AND level <= 99 AND 0 < lower_bound AND lower_bound <= upper_bound AND upper_bound < 1e300
                AND (
                    position = 1
                    OR (level > inner_level AND lower_bound <= inner_lower_bound AND upper_bound >= inner_upper_bound)
                ),
                false
            )
        )
        FROM (
            SELECT *,
                   lag(level) OVER inwards AS inner_level,
                   lag(lower_bound) OVER inwards AS inner_lower_bound,
                   lag(upper_bound) OVER inwards AS inner_upper_bound
            FROM unnest(levels, lower_bounds, upper_bounds)
                WITH ORDINALITY AS interval (level, lower_bound, upper_bound, position)
            WINDOW inwards AS (ORDER BY position)
        ) AS interval
    ),
    false
);

-- One forecast of the price at target_time, made at the close of the minute before made_at; never changed.
CREATE TABLE forecasts (
    symbol              text        NOT NULL,
    made_at             timestamptz NOT NULL,
    horizon_minutes     integer     NOT NULL,
    target_time         timestamptz NOT NULL,
    expires_at          timestamptz NOT NULL,   -- from then on it is not served as if it were fresh
    base_price          numeric     NOT NULL,
    point               numeric     NOT NULL,
    levels              smallint[]  NOT NULL,   -- of the intervals, in percent, increasing
    lower_bounds        numeric[]   NOT NULL,   -- of the interval of each level
    upper_bounds        numeric[]   NOT NULL,
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
    CONSTRAINT intervals_are_nested CHECK (are_nested_intervals(levels, lower_bounds, upper_bounds)),
    CONSTRAINT prices_are_prices CHECK (0 < base_price AND base_price < 1e300 AND 0 < point AND point < 1e300),
    CONSTRAINT volatility_is_finite CHECK (0 < volatility AND volatility < 'Infinity'),
    CONSTRAINT probability_is_one CHECK (0 <= probability_up AND probability_up <= 1)
);

-- The forecasts that are not scored yet: due from their target on, and left until every minute of it is there.
CREATE TABLE forecasts_due (
    symbol              text        NOT NULL,
    target_time         timestamptz NOT NULL,
    made_at             timestamptz NOT NULL,
    horizon_minutes     integer     NOT NULL,
    PRIMARY KEY (symbol, target_time, made_at, horizon_minutes)
);

-- What became of a forecast, with naive's error beside its own. Winkler scores and the pinball loss, a mean over the
-- median and the bounds of all intervals, are in quote currency. A correction of a minute scores it again.
CREATE TABLE forecast_scores (
    symbol                  text        NOT NULL,
    made_at                 timestamptz NOT NULL,
    horizon_minutes         integer     NOT NULL,
    target_time             timestamptz NOT NULL,
    actual_price            numeric     NOT NULL,
    realised_variance       float8      NOT NULL,   -- summed squares of the one-minute log returns up to the target
    absolute_error          numeric     NOT NULL,
    naive_absolute_error    numeric     NOT NULL,
    levels                  smallint[]  NOT NULL,   -- the forecast's
    covered                 boolean[]   NOT NULL,   -- whether the interval of each level held the price
    winkler                 float8[]    NOT NULL,
    pinball                 float8      NOT NULL,
    qlike                   float8,                 -- null where nothing moved
    scored_at               timestamptz NOT NULL DEFAULT now(),
    rescored_at             timestamptz,
    PRIMARY KEY (symbol, made_at, horizon_minutes),
    CONSTRAINT every_level_is_scored CHECK (
        coalesce(array_dims(levels) = array_dims(covered) AND array_dims(levels) = array_dims(winkler), false)
        AND array_position(covered, NULL) IS NULL AND array_position(winkler, NULL) IS NULL
    )
);

-- Whether the predictor forecasts a symbol now, and if not, why not.
CREATE TABLE predictor_status (
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

-- Now, by the clock of the exchange that a symbol is collected from (none: Binance): what decides that a minute is closed
-- or missing. Before a collector has told it, the database's own clock.
CREATE FUNCTION exchange_now(wanted_symbol text DEFAULT NULL) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN coalesce(
    (
        SELECT exchange_time + (clock_timestamp() - told_at)
        FROM public.exchange_clocks
        WHERE source = CASE WHEN strpos(wanted_symbol, ':') > 0 THEN split_part(wanted_symbol, ':', 1) ELSE 'binance' END
          -- A time from the future was written before this server's clock was set back.
          AND told_at <= clock_timestamp()
    ),
    clock_timestamp()
);

-- Recompute the hours and days that [range_start, range_end) touches. Runs in the transaction that changed the ticks.
CREATE FUNCTION refresh_rollups(wanted_symbol text, range_start timestamptz, range_end timestamptz)
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

-- A forecast is written before its target or not at all.
CREATE FUNCTION refuse_late_forecast() RETURNS trigger
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
CREATE TRIGGER forecast_precedes_its_target
BEFORE INSERT ON forecasts
FOR EACH ROW EXECUTE FUNCTION refuse_late_forecast();
