-- The table log: original bytes in partitions, and what ingest must remember with them.
-- Offsets are dense per partition. They are given out under a lock on the log's row that is held to
-- commit, so the order of offsets is the order of commits, and a reader never skips a late one.

CREATE TABLE log (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    log_id text NOT NULL,
    partitions smallint NOT NULL CHECK (partitions BETWEEN 1 AND 1024)
);

CREATE TABLE log_partition (
    partition smallint PRIMARY KEY,
    next_offset bigint NOT NULL DEFAULT 0,
    -- The oldest record that is kept; those below were trimmed.
    first_offset bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0
);

CREATE TABLE log_record (
    partition smallint NOT NULL,
    "offset" bigint NOT NULL,
    key text NOT NULL,
    mqtt_topic text NOT NULL,
    payload bytea NOT NULL,
    received_us bigint NOT NULL,
    PRIMARY KEY (partition, "offset")
);

-- The highest seq of a unit such that all up to it are durable; written with the records it speaks of.
CREATE TABLE device_ack (
    key text PRIMARY KEY,
    seq bigint NOT NULL
) WITH (fillfactor = 50);

-- The district clock as it was last set; no row: the wall clock.
CREATE TABLE district_clock (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    payload bytea NOT NULL
);
