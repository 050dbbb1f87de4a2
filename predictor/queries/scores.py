"""Scores forecasts whose targets have come, where every minute up to them is there, and again what was corrected.

One statement scores all of them in Postgres; of two predictors the second finds nothing left. A forecast whose target
spans a missing minute stays due until that minute comes. A score is a function of the ticks as they are now, so a
correction is a score that has come out differently.
"""

from shared.database.connection import Connection


async def upsert_scores(connection: Connection, symbol: str) -> int:
    """Write the scores that are missing or have changed, and return how many; to be called in a transaction."""
    # One at a time, so that two do not wait for each other's rows.
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('minutebook forecast_scores ' || $1, 0))", symbol
    )
    rows = await connection.fetch(
        """
        WITH wanted AS (
            SELECT made_at, horizon_minutes
            FROM forecasts_due
            WHERE symbol = $1
              AND target_time <= exchange_now($1)
            UNION
            -- Corrections that may have come since the last look; one is committed some time after it is dated.
            SELECT forecasts.made_at, forecasts.horizon_minutes
            FROM ticks
            JOIN forecasts
              ON forecasts.symbol = $1
             AND forecasts.made_at <= ticks.minute + interval '1 minute'
             AND forecasts.made_at > ticks.minute - interval '1 day'
             AND forecasts.target_time > ticks.minute
            WHERE ticks.symbol = $1
              AND ticks.corrected_at > coalesce(
                      (
                          SELECT scored_at
                          FROM forecast_scores
                          WHERE symbol = $1
                          ORDER BY made_at DESC
                          LIMIT 1
                      ),
                      '-infinity'
                  ) - interval '1 hour'
        ),
        outcome AS (
            SELECT forecasts.*, path.actual_price, path.realised_variance
            FROM wanted
            JOIN forecasts USING (made_at, horizon_minutes)
            CROSS JOIN LATERAL (
                SELECT max(close) FILTER (WHERE minute = target_time - interval '1 minute') AS actual_price,
                       sum(ln(close::float8 / previous_close::float8) ^ 2) AS realised_variance
                FROM (
                    SELECT minute, close, lag(close) OVER (ORDER BY minute) AS previous_close
                    FROM ticks
                    WHERE symbol = $1
                      AND minute >= made_at - interval '1 minute'
                      AND minute < target_time
                ) AS step
                -- The minute that the forecast was made from, and every one up to its target.
                HAVING count(*) = horizon_minutes + 1
            ) AS path
            WHERE forecasts.symbol = $1
        ),
        written AS (
            INSERT INTO forecast_scores AS score (
                symbol, made_at, horizon_minutes, target_time, actual_price, realised_variance, absolute_error,
                naive_absolute_error, levels, covered, winkler, pinball, qlike
            )
            SELECT symbol, made_at, horizon_minutes, target_time, actual_price, realised_variance,
                   abs(actual_price - point),
                   abs(actual_price - base_price),
                   levels, covered, winkler, pinball,
                   -- Patton (2011): x - ln x - 1 of the realised variance over the forecast one.
                   CASE
                       WHEN realised_variance > 0
                       THEN realised_variance / volatility ^ 2 - ln(realised_variance / volatility ^ 2) - 1
                   END
            FROM outcome
            CROSS JOIN LATERAL (
                SELECT array_agg(actual_price BETWEEN lower_bound AND upper_bound ORDER BY position) AS covered,
                       -- Gneiting and Raftery (2007): the width, and 2 / alpha times what the price lies outside.
                       array_agg(
                           upper_bound - lower_bound
                           + greatest(lower_bound - actual_price, actual_price - upper_bound, 0) / share_below
                           ORDER BY position
                       )::float8[] AS winkler
                FROM unnest(levels, lower_bounds, upper_bounds)
                    WITH ORDINALITY AS bounds (level, lower_bound, upper_bound, position)
                -- What half of alpha is, and what is to lie below the lower bound and above the upper one.
                CROSS JOIN LATERAL (SELECT trim_scale((100 - level) / 200.0)) AS beyond (share_below)
            ) AS of_intervals
            CROSS JOIN LATERAL (
                SELECT avg(greatest(share * (actual_price - quantile), (share - 1) * (actual_price - quantile)))
                           AS pinball
                FROM (
                    SELECT 0.5, point
                    UNION ALL
                    SELECT trim_scale((100 - level) / 200.0), lower_bound
                    FROM unnest(levels, lower_bounds) AS bounds (level, lower_bound)
                    UNION ALL
                    SELECT trim_scale((100 + level) / 200.0), upper_bound
                    FROM unnest(levels, upper_bounds) AS bounds (level, upper_bound)
                ) AS quantiles (share, quantile)
            ) AS of_quantiles
            ORDER BY made_at, horizon_minutes
            ON CONFLICT (symbol, made_at, horizon_minutes) DO UPDATE
            SET actual_price = excluded.actual_price, realised_variance = excluded.realised_variance,
                absolute_error = excluded.absolute_error, naive_absolute_error = excluded.naive_absolute_error,
                levels = excluded.levels, covered = excluded.covered, winkler = excluded.winkler,
                pinball = excluded.pinball, qlike = excluded.qlike, rescored_at = now()
            WHERE (score.actual_price, score.realised_variance)
               IS DISTINCT FROM (excluded.actual_price, excluded.realised_variance)
            RETURNING made_at
        ),
        done AS (
            DELETE FROM forecasts_due
            USING outcome
            WHERE forecasts_due.symbol = $1
              AND forecasts_due.target_time = outcome.target_time
              AND forecasts_due.made_at = outcome.made_at
              AND forecasts_due.horizon_minutes = outcome.horizon_minutes
        )
        SELECT count(*) AS scored
        FROM written
        """,
        symbol,
    )
    scored: int = rows[0]["scored"]
    return scored
