-- Versions of a district's files: what every figure was computed with can be read back byte for byte.
-- In all tables `*_us` is an instant of the data, in microseconds since 1970 UTC as everywhere inside
-- swept, and `*_at` is when the store wrote the row; figures never depend on the latter.
CREATE TABLE district_version (
    district_id text NOT NULL,
    version integer NOT NULL,
    map_version text NOT NULL,
    rule_version text NOT NULL,
    file_names text[] NOT NULL,
    file_contents bytea[] NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (district_id, version),
    CHECK (cardinality(file_names) = cardinality(file_contents))
);

-- For people at a psql prompt; the code reads the integers.
CREATE FUNCTION swept_time(moment_us bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN timestamptz '1970-01-01 00:00:00+00' + moment_us * interval '1 microsecond';
