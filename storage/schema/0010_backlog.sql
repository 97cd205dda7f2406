-- Records that were read, chained and put off, because what they report lies far behind the time at which they came:
-- what buffered units bring must not hold up what live ones do. They wait here with their payload, so that the
-- log may be packed or trimmed meanwhile, and leave in the transaction that commits their results.
CREATE TABLE backlog (
    log_id text NOT NULL,
    partition integer NOT NULL,
    log_offset bigint NOT NULL,
    key text NOT NULL,
    mqtt_topic text NOT NULL,
    payload bytea NOT NULL,
    received_us bigint NOT NULL,
    -- Reports in it; a payload that is large for its reports weighs more.
    weight integer NOT NULL,
    PRIMARY KEY (log_id, partition, log_offset)
);
-- It is read once and then deleted: compressing it would cost more than it saves.
ALTER TABLE backlog ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE INDEX backlog_key ON backlog (log_id, partition, key, log_offset) INCLUDE (weight);
CREATE INDEX backlog_received ON backlog (log_id, received_us);

-- Counts the shares of its backlog that were processed. They move no position, yet a worker that doesn't know of one
-- must not go on: what it remembers of the partition's units isn't what is committed.
ALTER TABLE checkpoint ADD COLUMN shares bigint NOT NULL DEFAULT 0;
