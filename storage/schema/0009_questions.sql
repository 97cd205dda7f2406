-- The questions that the record answers, as functions: API, reports and a person at psql get the same figures.
-- What each column means is in docs/DEFINITIONS.md, "From figures to totals". `as_of_us` is a moment of the
-- district's clock, NULL: now. `of_district` and `only_streets` NULL: all. No function knows a time zone: who
-- asks names service days, or instants. Each body is one SELECT, which PostgreSQL expands in the query that asks.

-- The shifts of each district version, also those in which nothing was swept.
CREATE TABLE district_shift (
    district_id text NOT NULL,
    version integer NOT NULL,
    shift_id text NOT NULL,
    name text NOT NULL,
    -- Seconds of local clock from midnight.
    start_s integer NOT NULL,
    end_s integer NOT NULL,
    PRIMARY KEY (district_id, version, shift_id),
    FOREIGN KEY (district_id, version) REFERENCES district_version
);

-- All that totals need of the whole days, which lie among four times as many rows of shifts.
CREATE INDEX street_day_whole ON street_day (service_day, street_id)
    INCLUDE (work, frequency, frequency_certain, swept_mm, length_mm, passes, required, verdict,
             district_version, known_us)
    WHERE shift_id = '';

-- Of each street-day, of any work and shift, the version that held at a moment.
CREATE FUNCTION swept_versions(first date, last date, as_of_us bigint DEFAULT NULL)
RETURNS TABLE (
    street_id text, service_day date, shift_id text, work text, frequency integer, frequency_certain integer,
    swept_mm bigint, swept_certain_mm bigint, length_mm bigint, cleaned_us bigint[], passes integer,
    required smallint, verdict text, district_version integer, version integer, cause text, known_us bigint,
    rule_version text, map_version text)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT street_id, service_day, shift_id, work, frequency, frequency_certain, swept_mm, swept_certain_mm,
           length_mm, cleaned_us, passes, required, verdict, district_version, version, cause, known_us,
           rule_version, map_version
    FROM street_day
    WHERE service_day BETWEEN first AND last AND (as_of_us IS NULL OR known_us <= as_of_us)
    UNION ALL
    SELECT street_id, service_day, shift_id, work, frequency, frequency_certain, swept_mm, swept_certain_mm,
           length_mm, cleaned_us, passes, required, verdict, district_version, version, cause, known_us,
           rule_version, map_version
    FROM street_day_version
    WHERE as_of_us IS NOT NULL AND service_day BETWEEN first AND last
      AND known_us <= as_of_us AND as_of_us < superseded_us
$$;

-- The days that were open at a moment, and which version each district was computed with: of the versions in
-- force that were known then the last one that covers the day, else the first one that ever did.
CREATE FUNCTION swept_open_days(first date, last date, as_of_us bigint DEFAULT NULL)
RETURNS TABLE (service_day date, district_id text, version integer)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT day, district.district_id, held.version
    FROM generate_series(0, last - first) AS n
    CROSS JOIN LATERAL (SELECT first + n AS day) AS days
    CROSS JOIN (SELECT DISTINCT district_id FROM in_force) AS district
    CROSS JOIN LATERAL (
        SELECT version FROM in_force
        WHERE in_force.district_id = district.district_id AND day BETWEEN first_day AND last_day
        ORDER BY CASE WHEN as_of_us IS NULL OR at_us <= as_of_us THEN in_force_id ELSE -in_force_id END DESC
        LIMIT 1) AS held
    WHERE NOT EXISTS (SELECT FROM closed_day WHERE closed_day.service_day = day
                                               AND (as_of_us IS NULL OR closed_us <= as_of_us))
$$;

-- Every street-day of the work that the street requires, whole (shift_id '') and by shift. A closed day is as it
-- was stored; of an open day every street in force has a row, with what is known so far and no verdict.
CREATE FUNCTION swept_street_days(
    first date, last date, as_of_us bigint DEFAULT NULL, of_district text DEFAULT NULL)
RETURNS TABLE (
    street_id text, service_day date, shift_id text, work text, open boolean,
    frequency integer, frequency_certain integer, swept_mm bigint, swept_certain_mm bigint, length_mm bigint,
    cleaned_us bigint[], passes integer, required smallint, verdict text,
    version integer, cause text, known_us bigint, rule_version text, map_version text,
    district_id text, district_version integer, name text, grade smallint, subdistrict text, contractor text)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT v.street_id, v.service_day, v.shift_id, v.work, false, frequency, frequency_certain, swept_mm,
           swept_certain_mm, v.length_mm, cleaned_us, passes, v.required, verdict, v.version, cause, known_us,
           rule_version, map_version, s.district_id, s.version, name, grade, subdistrict, contractor
    FROM swept_versions(first, last, as_of_us) AS v
    JOIN district_street AS s ON s.version = v.district_version AND s.street_id = v.street_id
        AND s.work = v.work AND (of_district IS NULL OR s.district_id = of_district)
    -- Days are given as arrays, here and below: a join would be taken for a small one and run for each row.
    WHERE v.service_day = ANY (ARRAY(
        SELECT closed_day.service_day FROM closed_day
        WHERE closed_day.service_day BETWEEN first AND last AND (as_of_us IS NULL OR closed_us <= as_of_us)))
    UNION ALL
    SELECT s.street_id, o.service_day, '', s.work, true, coalesce(frequency, 0), coalesce(frequency_certain, 0),
           coalesce(swept_mm, 0), coalesce(swept_certain_mm, 0), s.length_mm, coalesce(cleaned_us, '{}'),
           coalesce(passes, 0), s.required, NULL, v.version, cause, known_us, rule_version, map_version,
           s.district_id, s.version, name, grade, subdistrict, contractor
    FROM swept_open_days(first, last, as_of_us) AS o
    JOIN district_street AS s ON s.district_id = o.district_id AND s.version = o.version
        AND (of_district IS NULL OR s.district_id = of_district)
    LEFT JOIN swept_versions(first, last, as_of_us) AS v ON v.street_id = s.street_id
        AND v.service_day = o.service_day AND v.work = s.work AND v.shift_id = ''
        AND v.service_day = ANY (ARRAY(SELECT service_day FROM swept_open_days(first, last, as_of_us)))
    UNION ALL
    SELECT s.street_id, o.service_day, v.shift_id, s.work, true, frequency, frequency_certain, swept_mm,
           swept_certain_mm, s.length_mm, cleaned_us, passes, v.required, NULL, v.version, cause, known_us,
           rule_version, map_version, s.district_id, s.version, name, grade, subdistrict, contractor
    FROM swept_open_days(first, last, as_of_us) AS o
    JOIN district_street AS s ON s.district_id = o.district_id AND s.version = o.version
        AND (of_district IS NULL OR s.district_id = of_district)
    JOIN swept_versions(first, last, as_of_us) AS v ON v.street_id = s.street_id
        AND v.service_day = o.service_day AND v.work = s.work AND v.shift_id <> ''
        AND v.service_day = ANY (ARRAY(SELECT service_day FROM swept_open_days(first, last, as_of_us)))
$$;

-- True, or an error that tells what is known.
CREATE FUNCTION swept_known(word text, known text[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF word = ANY (known) THEN
        RETURN true;
    END IF;
    RAISE 'there is no %, known are %', word, array_to_string(known, ', ') USING ERRCODE = 'invalid_parameter_value';
END
$$;

-- The service days of a period, each with the bucket that it falls in; buckets are cut at first and last.
CREATE FUNCTION swept_buckets(first date, last date, each text)
RETURNS TABLE (service_day date, bucket_first date, bucket_last date)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT day, greatest(first, from_day),
           least(last, CASE each WHEN 'day' THEN day WHEN 'week' THEN from_day + 6 WHEN 'period' THEN last
                                 ELSE (from_day + interval '1 month')::date - 1 END)
    FROM generate_series(0, last - first) AS n
    CROSS JOIN LATERAL (SELECT first + n AS day) AS days
    CROSS JOIN LATERAL (
        SELECT CASE each WHEN 'day' THEN day WHEN 'period' THEN first
                         WHEN 'week' THEN day + 1 - extract(isodow FROM day)::integer
                         ELSE day + 1 - extract(day FROM day)::integer END AS from_day) AS buckets
    WHERE swept_known(each, '{day,week,month,period}')
$$;

-- Excuses that stood at a moment, newest last.
CREATE FUNCTION swept_excuses(first date, last date, as_of_us bigint DEFAULT NULL)
RETURNS SETOF excuse LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT * FROM excuse
    WHERE first_day <= last AND last_day >= first AND (as_of_us IS NULL OR at_us <= as_of_us)
      AND (withdrawn_us IS NULL OR as_of_us < withdrawn_us)
$$;

-- The street-days of a period beside which an excuse stood.
CREATE FUNCTION swept_excused(first date, last date, as_of_us bigint DEFAULT NULL)
RETURNS TABLE (street_id text, service_day date) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT DISTINCT e.street_id, greatest(first, first_day) + n
    FROM swept_excuses(first, last, as_of_us) AS e,
         generate_series(0, least(last, last_day) - greatest(first, first_day)) AS n
$$;

-- Figures of the street-days of a period, added up over stretches of time (each) and over what they have in
-- common (by). By shift each shift of a day has a part, and what is of a whole day is NULL.
CREATE FUNCTION swept_figures(
    first date, last date, each text, by text, as_of_us bigint DEFAULT NULL, of_district text DEFAULT NULL,
    only_streets text[] DEFAULT NULL)
RETURNS TABLE (
    bucket_first date, bucket_last date, key text, name text, street_days bigint, cleanings bigint,
    cleanings_certain bigint, required bigint, shortfall bigint, compliant bigint, compliance double precision,
    swept_m double precision, length_m double precision, coverage double precision, swept bigint,
    ambiguous bigint, no_data bigint, partial bigint, not_swept bigint, open bigint, excused bigint, passes bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH part AS (
        SELECT d.service_day, d.district_id, d.district_version, 1::bigint AS street_days, d.frequency,
               d.frequency_certain, d.required, d.swept_mm, d.length_mm, d.verdict, d.open, d.passes,
               e.street_id IS NOT NULL AS excused,
               CASE by WHEN 'street' THEN d.street_id WHEN 'grade' THEN d.grade::text
                       WHEN 'subdistrict' THEN d.subdistrict WHEN 'contractor' THEN d.contractor
                       ELSE d.district_id END AS key
        FROM swept_street_days(first, last, as_of_us, of_district) AS d
        LEFT JOIN swept_excused(first, last, as_of_us) AS e
            ON e.street_id = d.street_id AND e.service_day = d.service_day
        WHERE by <> 'shift' AND d.shift_id = '' AND (only_streets IS NULL OR d.street_id = ANY (only_streets))
        UNION ALL
        -- Every street is there in every shift; what was swept in it is added below.
        SELECT d.service_day, d.district_id, d.version, d.street_days, 0, 0, NULL, 0, d.length_mm, NULL, d.open,
               0, false, s.shift_id
        FROM (SELECT w.service_day, w.district_id, w.district_version AS version, w.open,
                     count(*) AS street_days, sum(w.length_mm)::bigint AS length_mm
              FROM swept_street_days(first, last, as_of_us, of_district) AS w
              WHERE by = 'shift' AND w.shift_id = ''
                AND (only_streets IS NULL OR w.street_id = ANY (only_streets))
              GROUP BY 1, 2, 3, 4) AS d
        JOIN district_shift AS s ON s.district_id = d.district_id AND s.version = d.version
        UNION ALL
        SELECT d.service_day, d.district_id, d.district_version, 0, d.frequency, d.frequency_certain, NULL,
               d.swept_mm, 0, NULL, d.open, d.passes, false, d.shift_id
        FROM swept_street_days(first, last, as_of_us, of_district) AS d
        WHERE by = 'shift' AND d.shift_id <> '' AND (only_streets IS NULL OR d.street_id = ANY (only_streets))
    ), total AS (
        SELECT b.bucket_first, b.bucket_last, district_id, key, max(district_version) AS version,
               sum(street_days)::bigint AS street_days, sum(frequency) AS cleanings,
               sum(frequency_certain) AS cleanings_certain, sum(required) AS required,
               sum(greatest(0, required - frequency)) FILTER (WHERE NOT open) AS shortfall,
               count(*) FILTER (WHERE frequency >= required AND NOT open) AS compliant,
               sum(swept_mm) / 1000.0 AS swept_m, sum(length_mm) / 1000.0 AS length_m,
               count(*) FILTER (WHERE verdict = 'swept') AS swept,
               count(*) FILTER (WHERE verdict = 'ambiguous') AS ambiguous,
               count(*) FILTER (WHERE verdict = 'no data') AS no_data,
               count(*) FILTER (WHERE verdict = 'partial') AS partial,
               count(*) FILTER (WHERE verdict = 'not swept') AS not_swept,
               coalesce(sum(street_days) FILTER (WHERE open), 0)::bigint AS open,
               count(*) FILTER (WHERE excused AND verdict <> 'swept') AS excused,
               sum(passes) AS passes
        FROM part JOIN swept_buckets(first, last, each) AS b USING (service_day)
        GROUP BY 1, 2, 3, 4
    )
    SELECT bucket_first, bucket_last, key,
           coalesce(street.name, shift.name, CASE WHEN by IN ('street', 'shift') THEN '' ELSE key END),
           street_days, cleanings, cleanings_certain, t.required,
           CASE WHEN whole THEN coalesce(shortfall, 0) END, CASE WHEN whole THEN compliant END,
           CASE WHEN whole THEN compliant::float8 / nullif(street_days - open, 0) END,
           swept_m::float8, t.length_m::float8, (swept_m / nullif(t.length_m, 0))::float8,
           CASE WHEN whole THEN swept END, CASE WHEN whole THEN ambiguous END, CASE WHEN whole THEN no_data END,
           CASE WHEN whole THEN partial END, CASE WHEN whole THEN not_swept END, open,
           CASE WHEN whole THEN excused END, passes
    FROM total AS t
    CROSS JOIN LATERAL (SELECT by <> 'shift' AS whole) AS asked
    LEFT JOIN district_street AS street ON by = 'street' AND street.district_id = t.district_id
        AND street.version = t.version AND street.street_id = t.key
    LEFT JOIN district_shift AS shift ON by = 'shift' AND shift.district_id = t.district_id
        AND shift.version = t.version AND shift.shift_id = t.key
    WHERE swept_known(by, '{street,grade,subdistrict,contractor,district,shift}')
    ORDER BY bucket_first, key
$$;

-- The times at which a street was cleaned, of the service days of a period.
CREATE FUNCTION swept_cleanings(
    of_street text, first date, last date, as_of_us bigint DEFAULT NULL, of_district text DEFAULT NULL)
RETURNS TABLE (service_day date, number integer, cleaned_us bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT d.service_day, c.number::integer, c.moment_us
    FROM swept_street_days(first, last, as_of_us, of_district) AS d,
         unnest(d.cleaned_us) WITH ORDINALITY AS c (moment_us, number)
    WHERE d.street_id = of_street AND d.shift_id = ''
    ORDER BY 1, 2
$$;

-- For each street the longest time without a cleaning from from_us, when `first` begins, to to_us. A cleaning may
-- end on the day after its own: that of the day before counts where it lies in the period.
CREATE FUNCTION swept_longest_without(
    first date, last date, from_us bigint, to_us bigint, as_of_us bigint DEFAULT NULL,
    of_district text DEFAULT NULL, only_streets text[] DEFAULT NULL)
RETURNS TABLE (
    street_id text, name text, without_from_us bigint, without_to_us bigint, cleanings bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH day AS (
        SELECT d.street_id, d.name, d.service_day, d.cleaned_us
        FROM swept_street_days(first - 1, last, as_of_us, of_district) AS d
        WHERE d.shift_id = '' AND (only_streets IS NULL OR d.street_id = ANY (only_streets))
    ), asked AS (
        SELECT DISTINCT ON (day.street_id) day.street_id, day.name
        FROM day WHERE service_day >= first ORDER BY day.street_id, service_day DESC
    ), mark AS (
        SELECT day.street_id, moment_us FROM day, unnest(cleaned_us) AS c (moment_us)
        WHERE from_us < moment_us AND moment_us < to_us
        UNION ALL SELECT asked.street_id, to_us FROM asked
    ), stretch AS (
        SELECT mark.street_id, moment_us AS end_us, count(*) OVER (PARTITION BY mark.street_id) - 1 AS cleanings,
               lag(moment_us, 1, from_us) OVER (PARTITION BY mark.street_id ORDER BY moment_us) AS begin_us
        FROM mark
    )
    SELECT DISTINCT ON (asked.street_id) asked.street_id, asked.name, begin_us, end_us, stretch.cleanings
    FROM stretch JOIN asked USING (street_id) WHERE begin_us <= end_us
    ORDER BY asked.street_id, end_us - begin_us DESC, begin_us
$$;

-- The passes that were on a street at some moment from from_us on and before to_us, swept or not.
CREATE FUNCTION swept_on_street(of_street text, from_us bigint, to_us bigint)
RETURNS SETOF pass LANGUAGE sql STABLE PARALLEL SAFE AS $$
    -- A pass lies within its track, which is a day long at most: that bounds the service days to look at.
    SELECT * FROM pass
    WHERE street_id = of_street AND enter_us < to_us AND leave_us >= from_us
      AND service_day BETWEEN (swept_time(from_us) AT TIME ZONE 'UTC')::date - 3
                          AND (swept_time(to_us) AT TIME ZONE 'UTC')::date + 2
    ORDER BY enter_us, unit_id, track_start_us, ordinal
$$;

-- What each unit drove, and what of it was work. Where the latter wasn't kept of a day, it is left out of the share.
CREATE FUNCTION swept_unit_figures(first date, last date, each text)
RETURNS TABLE (
    bucket_first date, bucket_last date, unit_id text, days bigint, fixes bigint, driven_m double precision,
    working_m double precision, working_share double precision, working_s double precision)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT b.bucket_first, b.bucket_last, u.unit_id, count(*), sum(u.fixes), sum(u.driven_m), sum(u.working_m),
           sum(u.working_m) / nullif(sum(u.driven_m) FILTER (WHERE u.working_m IS NOT NULL), 0), sum(u.working_s)
    FROM unit_day AS u JOIN swept_buckets(first, last, each) AS b USING (service_day)
    WHERE u.service_day BETWEEN first AND last
    GROUP BY 1, 2, 3
    ORDER BY 1, 3
$$;
