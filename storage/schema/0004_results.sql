-- What was computed from the reports. All of it can be recomputed; each row carries the versions that made it.
CREATE TABLE track (
    unit_id text NOT NULL,
    start_us bigint NOT NULL,
    end_us bigint NOT NULL,
    fixes integer NOT NULL,
    digest bytea NOT NULL,
    -- The datum its fixes seem to be in, when that isn't the unit's; such a track has no passes.
    suspected_datum text,
    rule_version text NOT NULL,
    map_version text NOT NULL,
    PRIMARY KEY (unit_id, start_us)
);

-- Swept pieces and unobserved stretches are parallel arrays: one element a piece, measures in millimetres.
CREATE TABLE pass (
    unit_id text NOT NULL,
    track_start_us bigint NOT NULL,
    ordinal integer NOT NULL,
    street_id text NOT NULL,
    service_day date NOT NULL,
    work text NOT NULL,
    direction smallint NOT NULL,
    enter_us bigint NOT NULL,
    leave_us bigint NOT NULL,
    enter_mm integer NOT NULL,
    leave_mm integer NOT NULL,
    swept_mm integer NOT NULL,
    swept_until_us bigint,
    piece_from_mm integer[] NOT NULL,
    piece_to_mm integer[] NOT NULL,
    piece_from_us bigint[] NOT NULL,
    piece_to_us bigint[] NOT NULL,
    unobserved_from_mm integer[] NOT NULL,
    unobserved_to_mm integer[] NOT NULL,
    unobserved_from_us bigint[] NOT NULL,
    unobserved_to_us bigint[] NOT NULL,
    ambiguous_with text,
    PRIMARY KEY (unit_id, track_start_us, ordinal)
);
CREATE INDEX pass_street_day ON pass (street_id, service_day);

CREATE TABLE street_day (
    street_id text NOT NULL,
    service_day date NOT NULL,
    work text NOT NULL,
    frequency integer NOT NULL,
    frequency_certain integer NOT NULL,
    swept_mm bigint NOT NULL,
    swept_certain_mm bigint NOT NULL,
    length_mm bigint NOT NULL,
    cleaned_us bigint[] NOT NULL,
    passes integer NOT NULL,
    frequency_if_observed integer NOT NULL,
    missing_mm bigint NOT NULL,
    rule_version text NOT NULL,
    map_version text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (street_id, service_day, work)
);
CREATE INDEX street_day_day ON street_day (service_day);

CREATE TABLE unit_day (
    unit_id text NOT NULL,
    service_day date NOT NULL,
    fixes integer NOT NULL,
    first_fix_us bigint NOT NULL,
    last_fix_us bigint NOT NULL,
    working_s double precision NOT NULL,
    driven_m double precision NOT NULL,
    -- [[from_us, to_us, from_lon, from_lat, to_lon, to_lat], ...]
    gaps jsonb NOT NULL,
    rule_version text NOT NULL,
    PRIMARY KEY (unit_id, service_day)
);
CREATE INDEX unit_day_day ON unit_day (service_day);

CREATE TABLE equipment_interval (
    unit_id text NOT NULL,
    service_day date NOT NULL,
    equipment text NOT NULL,
    from_us bigint NOT NULL,
    to_us bigint NOT NULL,
    state smallint NOT NULL,
    PRIMARY KEY (unit_id, service_day, equipment, from_us)
);

-- A published figure that changed: what it was, what it is, and why. NULL stands for no figure.
CREATE TABLE correction (
    correction_id bigint GENERATED ALWAYS AS IDENTITY,
    street_id text NOT NULL,
    service_day date NOT NULL,
    work text NOT NULL,
    cause text NOT NULL,
    old_figures jsonb,
    new_figures jsonb,
    at_us bigint NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (service_day, correction_id)
);
CREATE INDEX correction_street ON correction (street_id, service_day);
