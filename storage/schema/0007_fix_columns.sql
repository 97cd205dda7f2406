-- Fixes in whole numbers: half as large, and integers compress far better than noisy floating point.
-- A column `name_eN` holds 10^N times what the report's `name` is: lon_e7 in 1e-7 degrees (a centimetre),
-- speed_kmh_e2 in hundredths of km/h. NULL stands for what wasn't told; a status of the equipment has no place.
-- Wide columns come first, so that no row has holes.

-- Logs by number: a fix names its log in two bytes instead of 33.
CREATE TABLE log_number (
    number smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    log_id text NOT NULL UNIQUE
);
INSERT INTO log_number (log_id) SELECT DISTINCT log_id FROM fix ORDER BY log_id;

ALTER TABLE fix RENAME TO fix_before;
ALTER TABLE fix_before RENAME CONSTRAINT fix_pkey TO fix_before_pkey;
CREATE TABLE fix (
    fix_time_us bigint NOT NULL,
    received_us bigint NOT NULL,
    log_offset bigint NOT NULL,
    seq bigint,
    lon_e7 integer,
    lat_e7 integer,
    speed_kmh_e2 integer,
    heading_deg_e2 integer,
    accuracy_m_e2 integer,
    satellites smallint,
    hopper_pct_e2 smallint,
    water_pct_e2 smallint,
    kind smallint NOT NULL,
    log_number smallint NOT NULL,
    partition smallint NOT NULL,
    element smallint NOT NULL,
    historical boolean NOT NULL,
    engine boolean,
    brush boolean,
    spray boolean,
    fan boolean,
    working boolean,
    unit_id text NOT NULL,
    extra text
);
INSERT INTO fix
SELECT fix_time_us, received_us, log_offset, seq,
       round(nullif(lon, 'NaN') * 1e7::float8)::integer, round(nullif(lat, 'NaN') * 1e7::float8)::integer,
       round(speed_kmh * 100)::integer, round(heading_deg * 100)::integer % 36000,
       round(accuracy_m * 100)::integer, satellites::smallint,
       round(hopper_pct * 100)::smallint, round(water_pct * 100)::smallint,
       kind, log_number.number, partition::smallint, element::smallint,
       historical, engine, brush, spray, fan, working, unit_id, extra
FROM fix_before JOIN log_number USING (log_id)
ORDER BY unit_id, fix_time_us, kind;
DROP TABLE fix_before;
ALTER TABLE fix ADD PRIMARY KEY (unit_id, fix_time_us, kind);

-- The same for people: degrees, km/h and times. Ask it by unit_id and fix_time_us, which have the index.
CREATE VIEW fixes AS
SELECT unit_id, swept_time(fix_time_us) AS fix_time,
       CASE kind WHEN 0 THEN 'fix' ELSE 'equipment' END AS kind,
       lon_e7 / 1e7::float8 AS lon, lat_e7 / 1e7::float8 AS lat, speed_kmh_e2 / 100::float8 AS speed_kmh,
       heading_deg_e2 / 100::float8 AS heading_deg, accuracy_m_e2 / 100::float8 AS accuracy_m, satellites,
       engine, brush, spray, fan, working,
       hopper_pct_e2 / 100::float8 AS hopper_pct, water_pct_e2 / 100::float8 AS water_pct,
       seq, historical, swept_time(received_us) AS received_at, extra,
       log_id, partition, log_offset, element, fix_time_us, received_us
FROM fix JOIN log_number ON log_number.number = fix.log_number;
