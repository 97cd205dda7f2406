-- Hypertables. A chunk is what is compressed and what is dropped.
--
-- fix: 7 days. Twelve units at 5 s for 8 hours a day are half a million rows and some 70 MB with the index a week, a
-- province of a hundred such districts 50 million rows and 7 GB: what is written to stays in memory in both. With
-- late_max (30 days) at most six chunks are rows, two years are 105 chunks, which costs a plan little, and what is
-- dropped is never more than a week older than was asked.
-- pass: 28 days, since there are a hundred times fewer of them, and a street's day is looked for in every chunk.
SELECT create_hypertable('fix', by_range('fix_time_us', 604800000000),
                         create_default_indexes => false, migrate_data => true);
SELECT create_hypertable('pass', by_range('track_start_us', 2419200000000),
                         create_default_indexes => false, migrate_data => true);
-- Age is counted by the district clock: a recording of years ago has a today of its own.
SELECT set_integer_now_func('fix', 'swept_now_us');
SELECT set_integer_now_func('pass', 'swept_now_us');

-- A unit's track is read in order of time, so that is how its fixes lie together: neighbours differ little, which is
-- what compresses. Passes are asked for by street and day.
ALTER TABLE fix SET (timescaledb.enable_columnstore, timescaledb.segmentby = 'unit_id',
                     timescaledb.orderby = 'fix_time_us, kind');
ALTER TABLE pass SET (timescaledb.enable_columnstore, timescaledb.segmentby = 'street_id',
                      timescaledb.orderby = 'service_day, unit_id, track_start_us, ordinal');

-- Not before late_max is over (30 days), so that what still comes in meets rows. Later writes work all the same, as
-- those of a reprocessing, only slower.
CALL add_columnstore_policy('fix', after => 2592000000000);
CALL add_columnstore_policy('pass', after => 2592000000000);
