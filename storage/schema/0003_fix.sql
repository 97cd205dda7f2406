-- What units reported, typed, and what was refused. The identity of a report is (unit, kind, device time);
-- the key's order is that in which a track is read. The time column is part of every key, so that the
-- tables can become hypertables. A report's place is its record in the log and its number in that record.
CREATE TABLE fix (
    unit_id text NOT NULL,
    fix_time_us bigint NOT NULL,
    kind smallint NOT NULL,
    received_us bigint NOT NULL,
    lon double precision NOT NULL,
    lat double precision NOT NULL,
    speed_kmh double precision,
    heading_deg double precision,
    accuracy_m double precision,
    satellites integer,
    seq bigint,
    historical boolean NOT NULL,
    engine boolean,
    brush boolean,
    spray boolean,
    fan boolean,
    working boolean,
    hopper_pct double precision,
    water_pct double precision,
    extra text,
    log_id text NOT NULL,
    partition integer NOT NULL,
    log_offset bigint NOT NULL,
    element integer NOT NULL,
    PRIMARY KEY (unit_id, fix_time_us, kind)
);

CREATE TABLE dead_letter (
    log_id text NOT NULL,
    partition integer NOT NULL,
    log_offset bigint NOT NULL,
    element integer NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    unit_id text,
    mqtt_topic text NOT NULL,
    payload bytea NOT NULL,
    received_us bigint NOT NULL,
    -- A record that is processed again brings the same refusals at the same place.
    PRIMARY KEY (log_id, partition, log_offset, element)
);
CREATE INDEX dead_letter_received ON dead_letter (received_us);

CREATE TABLE unit_online (
    unit_id text PRIMARY KEY,
    online boolean NOT NULL,
    received_us bigint NOT NULL
);

-- The position of each partition commits with the results of the records before it.
CREATE TABLE checkpoint (
    log_id text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (log_id, partition)
);
