-- What each unit did in each hour, for what adds up: the worker writes it with the unit-days, since work, metres and
-- levels lie between neighbouring reports, which no view of single reports can see. What lies between two reports
-- counts in the hour of the later one; an hour begins where one of UTC does. `water_used_pct` and
-- `hopper_filled_pct` are in percent of the tank and the hopper, which is what devices tell; NULL: none told.
CREATE TABLE unit_hour (
    unit_id text NOT NULL,
    service_day date NOT NULL,
    hour_us bigint NOT NULL,
    fixes integer NOT NULL,
    driven_m double precision NOT NULL,
    working_m double precision NOT NULL,
    working_s double precision NOT NULL,
    water_used_pct double precision,
    hopper_filled_pct double precision,
    -- A service day that begins at half past shares its first hour with the day before.
    PRIMARY KEY (unit_id, hour_us, service_day)
);
CREATE INDEX unit_hour_day ON unit_hour (service_day);

-- Metres driven while working; NULL on days that were built before this was kept.
ALTER TABLE unit_day ADD COLUMN working_m double precision;

-- The newest moment in the store, by the district clock; policies and retention count their age from it.
CREATE FUNCTION swept_now_us() RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (SELECT coalesce(max(received_us), 0) FROM checkpoint);

-- What single reports tell of each hour. On TimescaleDB a continuous aggregate takes this view's name.
CREATE VIEW fix_hour AS
SELECT unit_id, fix_time_us - fix_time_us % 3600000000 AS hour_us,
       count(*) FILTER (WHERE kind = 0) AS fixes, count(*) FILTER (WHERE kind = 1) AS statuses,
       count(*) FILTER (WHERE brush) AS brush_on, count(*) FILTER (WHERE spray) AS spray_on,
       max(speed_kmh_e2) / 100::float8 AS speed_kmh_max,
       min(water_pct_e2) / 100::float8 AS water_pct_min, max(water_pct_e2) / 100::float8 AS water_pct_max,
       min(hopper_pct_e2) / 100::float8 AS hopper_pct_min, max(hopper_pct_e2) / 100::float8 AS hopper_pct_max,
       max(received_us) AS last_received_us
FROM fix GROUP BY 1, 2;
