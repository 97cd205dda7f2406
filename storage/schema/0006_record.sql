-- The record: what each street-day's figures were and are, on which map and rules, and what stands beside them.

-- The streets of each district version as rows, so that SQL can group by what a map says of them.
CREATE TABLE district_street (
    district_id text NOT NULL,
    version integer NOT NULL,
    street_id text NOT NULL,
    name text NOT NULL,
    grade smallint NOT NULL,
    required smallint NOT NULL,
    work text NOT NULL,
    sides smallint NOT NULL,
    subdistrict text NOT NULL,
    contractor text NOT NULL,
    length_mm bigint NOT NULL,
    -- GeoJSON coordinates of a MultiLineString, WGS-84.
    line jsonb NOT NULL,
    PRIMARY KEY (district_id, version, street_id),
    FOREIGN KEY (district_id, version) REFERENCES district_version
);

-- Which version a service day is computed with: of the rows that cover the day the last one. Rows are only
-- ever added, so that what was in force at any moment can be told.
CREATE TABLE in_force (
    in_force_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    district_id text NOT NULL,
    version integer NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL DEFAULT '2100-01-01',
    at_us bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (district_id, version) REFERENCES district_version,
    CHECK (first_day <= last_day)
);
INSERT INTO in_force (district_id, version, first_day, at_us)
SELECT DISTINCT ON (district_id) district_id, version, date '2000-01-01', 0
FROM district_version ORDER BY district_id, version DESC;

-- The figures of the whole day have shift_id '', those of a shift its id. `required` is what the map asks of that
-- day and kind of work (0: nothing, as of a shift). `verdict` is NULL while the day is open. While nothing of a
-- version was published as settled it is replaced in place: from begun_us to known_us it was provisional.
ALTER TABLE street_day
    ADD COLUMN shift_id text NOT NULL DEFAULT '',
    ADD COLUMN required smallint NOT NULL DEFAULT 0,
    ADD COLUMN verdict text
        CHECK (verdict IN ('swept', 'ambiguous', 'no data', 'partial', 'not swept')),
    ADD COLUMN district_version integer NOT NULL DEFAULT 0,
    ADD COLUMN version integer NOT NULL DEFAULT 1,
    ADD COLUMN cause text NOT NULL DEFAULT 'first figures',
    ADD COLUMN begun_us bigint NOT NULL DEFAULT 0,
    ADD COLUMN known_us bigint NOT NULL DEFAULT 0;
ALTER TABLE street_day DROP CONSTRAINT street_day_pkey;
ALTER TABLE street_day ADD PRIMARY KEY (street_id, service_day, work, shift_id);

-- What a street-day was before it was restated: all columns of street_day, and when it ceased to hold.
CREATE TABLE street_day_version (
    LIKE street_day,
    superseded_us bigint NOT NULL,
    PRIMARY KEY (street_id, service_day, work, shift_id, version)
);
CREATE INDEX street_day_version_day ON street_day_version (service_day);

-- Corrections that earlier releases kept become versions; each names the figures that ceased to hold.
INSERT INTO street_day_version (
    street_id, service_day, work, frequency, frequency_certain, swept_mm, swept_certain_mm, length_mm,
    cleaned_us, passes, frequency_if_observed, missing_mm, rule_version, map_version, updated_at,
    shift_id, required, district_version, version, cause, begun_us, known_us, superseded_us)
SELECT c.street_id, c.service_day, c.work,
       coalesce((c.old_figures ->> 'frequency')::integer, 0),
       coalesce((c.old_figures ->> 'frequency_certain')::integer, 0),
       coalesce((c.old_figures ->> 'swept_mm')::bigint, 0),
       coalesce((c.old_figures ->> 'swept_certain_mm')::bigint, 0),
       coalesce(c.old_figures ->> 'length_mm', c.new_figures ->> 'length_mm')::bigint,
       ARRAY(SELECT value::bigint FROM jsonb_array_elements_text(coalesce(c.old_figures -> 'cleaned_us', '[]'))),
       coalesce((c.old_figures ->> 'passes')::integer, 0),
       coalesce((c.old_figures ->> 'frequency_if_observed')::integer, 0),
       coalesce((c.old_figures ->> 'missing_mm')::bigint, 0),
       coalesce(d.rule_version, ''), coalesce(d.map_version, ''), c.recorded_at, '', 0, 0,
       row_number() OVER one, CASE row_number() OVER one WHEN 1 THEN 'first figures' ELSE lag(c.cause) OVER one END,
       coalesce(lag(c.at_us) OVER one, 0), coalesce(lag(c.at_us) OVER one, 0), c.at_us
FROM correction c LEFT JOIN street_day d USING (street_id, service_day, work)
WINDOW one AS (PARTITION BY c.street_id, c.service_day, c.work ORDER BY c.correction_id);
UPDATE street_day SET version = last.corrections + 1, cause = last.cause, begun_us = last.at_us, known_us = last.at_us
FROM (SELECT DISTINCT ON (street_id, service_day, work) street_id, service_day, work, cause, at_us,
             count(*) OVER (PARTITION BY street_id, service_day, work) AS corrections
      FROM correction ORDER BY street_id, service_day, work, correction_id DESC) AS last
WHERE street_day.street_id = last.street_id AND street_day.service_day = last.service_day
  AND street_day.work = last.work;
DROP TABLE correction;

-- Service days whose verdicts are settled; what changes them later is a restatement.
CREATE TABLE closed_day (
    service_day date PRIMARY KEY,
    closed_us bigint NOT NULL
);

-- Up to when each partition has been heard of, in received_at: the day is over where all are past it.
ALTER TABLE checkpoint ADD COLUMN received_us bigint NOT NULL DEFAULT 0;

-- Why a street couldn't be swept: beside the measured figures, never inside them.
CREATE TABLE excuse (
    excuse_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    street_id text NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    kind text NOT NULL CHECK (kind IN ('road works', 'parked cars', 'rain', 'frost', 'other')),
    reason text NOT NULL CHECK (reason <> ''),
    author text NOT NULL CHECK (author <> ''),
    at_us bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    withdrawn_by text,
    withdrawn_us bigint,
    CHECK (first_day <= last_day)
);
CREATE INDEX excuse_street ON excuse (street_id, first_day);

-- The chain over the log's records, and what was signed of it (evidence/chain.py). A head is that after all
-- records before next_offset. Heads within a day go when the day is closed; those of days stay.
CREATE TABLE chain_head (
    log_id text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    head bytea NOT NULL,
    received_us bigint NOT NULL,
    PRIMARY KEY (log_id, partition, next_offset)
);
CREATE TABLE day_head (
    log_id text NOT NULL,
    service_day date NOT NULL,
    partition integer NOT NULL,
    first_offset bigint NOT NULL,
    next_offset bigint NOT NULL,
    first_head bytea NOT NULL,
    head bytea NOT NULL,
    PRIMARY KEY (log_id, service_day, partition)
);
CREATE TABLE day_digest (
    log_id text NOT NULL,
    service_day date NOT NULL,
    digest bytea NOT NULL,
    signature bytea NOT NULL,
    public_key bytea NOT NULL,
    closed_us bigint NOT NULL,
    published_at timestamptz,
    PRIMARY KEY (log_id, service_day)
);

-- Original records of the log, packed by batch (storage/raw_packs.py): offsets from first_offset on and before next_offset.
CREATE TABLE raw_pack (
    log_id text NOT NULL,
    partition integer NOT NULL,
    first_offset bigint NOT NULL,
    next_offset bigint NOT NULL,
    first_received_us bigint NOT NULL,
    last_received_us bigint NOT NULL,
    payload_bytes bigint NOT NULL,
    pack bytea NOT NULL,
    PRIMARY KEY (log_id, partition, first_offset)
);
ALTER TABLE raw_pack ALTER COLUMN pack SET STORAGE EXTERNAL;

-- Evidence that outlives the retention of what it was made of: a dispute's pack, copied when it was opened.
CREATE TABLE held (
    held_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    street_id text NOT NULL,
    service_day date NOT NULL,
    shift_id text NOT NULL DEFAULT '',
    reason text NOT NULL CHECK (reason <> ''),
    author text NOT NULL CHECK (author <> ''),
    at_us bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    sha256 bytea NOT NULL,
    pack bytea NOT NULL
);
ALTER TABLE held ALTER COLUMN pack SET STORAGE EXTERNAL;
