-- How long the back-off is that run_at ends; NULL for a time that a person gave. A calendar that is set back cannot
-- make it longer.
ALTER TABLE jobs ADD COLUMN backoff_ms INTEGER;
