-- How likely a pass is on its own street and not on the one it may be mistaken for. Passes from before this was
-- kept say 1 until their track is matched again; those that were ambiguous still name the other street.
ALTER TABLE pass ADD COLUMN certainty double precision NOT NULL DEFAULT 1;
ALTER TABLE pass ALTER COLUMN certainty DROP DEFAULT;
