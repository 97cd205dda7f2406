-- Autovacuum counts what is written, and fixes are most of that. Under load it came once a minute, read all that was new
-- and wrote it once more, with a copy of each page in the write-ahead log: 4 s of a core for 2.5 million fixes, during
-- which live figures waited.

-- Fixes are written once and read by their key, with columns that no index has: that a page is visible to everybody
-- helps nobody. Freezing can wait as well: a batch is one transaction, and the 200 million after which PostgreSQL freezes
-- by itself are a hundred days of the fullest load. What is deleted brings a vacuum as ever.
ALTER TABLE fix SET (autovacuum_vacuum_insert_threshold = -1);

-- ANALYZE looks at 300 rows for each of the target, 100 by default, and most of them lie in a page of their own.
-- How many units there are, and which times the table spans, a tenth of these tell.
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT attname FROM pg_attribute
                WHERE attrelid = 'fix'::regclass AND attnum > 0 AND NOT attisdropped LOOP
        EXECUTE format('ALTER TABLE fix ALTER COLUMN %I SET STATISTICS 10', name);
    END LOOP;
END $$;

-- Nobody looks for a pass by its pieces, and to count the elements of lists is most of what ANALYZE does there.
ALTER TABLE pass
    ALTER COLUMN piece_from_mm SET STATISTICS 0, ALTER COLUMN piece_to_mm SET STATISTICS 0,
    ALTER COLUMN piece_from_us SET STATISTICS 0, ALTER COLUMN piece_to_us SET STATISTICS 0,
    ALTER COLUMN unobserved_from_mm SET STATISTICS 0, ALTER COLUMN unobserved_to_mm SET STATISTICS 0,
    ALTER COLUMN unobserved_from_us SET STATISTICS 0, ALTER COLUMN unobserved_to_us SET STATISTICS 0;
