-- The names that were left to the worker when an environment was captured: a JSON array; NULL before this was kept.
ALTER TABLE environments ADD COLUMN left_out TEXT;
