-- The levels of intervals become data: arrays in place of a column for each level. Every forecast and score is copied as
-- it is, 45,000 forecasts with their scores a second; whoever reads or writes them waits that long.

-- The old tables go to a schema of their own, so that the new ones' constraints and indexes get the same names as in a
-- new database.
CREATE SCHEMA before_interval_levels;
ALTER TABLE forecasts SET SCHEMA before_interval_levels;
ALTER TABLE forecast_scores SET SCHEMA before_interval_levels;

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

INSERT INTO forecasts (
    symbol, made_at, horizon_minutes, target_time, expires_at, base_price, point, levels, lower_bounds, upper_bounds,
    volatility, probability_up, model_version, created_at
)
SELECT symbol, made_at, horizon_minutes, target_time, expires_at, base_price, point,
       ARRAY[50, 80, 95],
       ARRAY[lower_50, lower_80, lower_95],
       ARRAY[upper_50, upper_80, upper_95],
       volatility, probability_up, model_version, created_at
FROM before_interval_levels.forecasts
ORDER BY symbol, made_at, horizon_minutes;

-- After the copy: it refuses what is written after its target.
CREATE TRIGGER forecast_precedes_its_target
BEFORE INSERT ON forecasts
FOR EACH ROW EXECUTE FUNCTION refuse_late_forecast();

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

INSERT INTO forecast_scores (
    symbol, made_at, horizon_minutes, target_time, actual_price, realised_variance, absolute_error,
    naive_absolute_error, levels, covered, winkler, pinball, qlike, scored_at, rescored_at
)
SELECT symbol, made_at, horizon_minutes, target_time, actual_price, realised_variance, absolute_error,
       naive_absolute_error,
       ARRAY[50, 80, 95],
       ARRAY[covered_50, covered_80, covered_95],
       ARRAY[winkler_50, winkler_80, winkler_95],
       pinball, qlike, scored_at, rescored_at
FROM before_interval_levels.forecast_scores
ORDER BY symbol, made_at, horizon_minutes;

-- Without CASCADE: a view of somebody else's on them is an error that names it.
DROP TABLE before_interval_levels.forecast_scores, before_interval_levels.forecasts;
DROP SCHEMA before_interval_levels;
