-- The hours of fixes as a continuous aggregate, with the name and the columns of the view it stands for. It is real
-- time: what isn't materialized yet is computed when it is asked for.
DROP VIEW fix_hour;
CREATE MATERIALIZED VIEW fix_hour WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT unit_id, time_bucket(3600000000, fix_time_us) AS hour_us,
       count(*) FILTER (WHERE kind = 0) AS fixes, count(*) FILTER (WHERE kind = 1) AS statuses,
       count(*) FILTER (WHERE brush) AS brush_on, count(*) FILTER (WHERE spray) AS spray_on,
       max(speed_kmh_e2) / 100::float8 AS speed_kmh_max,
       min(water_pct_e2) / 100::float8 AS water_pct_min, max(water_pct_e2) / 100::float8 AS water_pct_max,
       min(hopper_pct_e2) / 100::float8 AS hopper_pct_min, max(hopper_pct_e2) / 100::float8 AS hopper_pct_max,
       max(received_us) AS last_received_us
FROM fix GROUP BY 1, 2
WITH NO DATA;

-- Each hour, what is older than two hours; back to 32 days, beyond which no late fix reaches. Only hours that changed
-- are computed. Late ones are refreshed at once by the worker (storage/timescale.py, refresh).
SELECT add_continuous_aggregate_policy('fix_hour', start_offset => 2764800000000, end_offset => 7200000000,
                                       schedule_interval => interval '1 hour');
