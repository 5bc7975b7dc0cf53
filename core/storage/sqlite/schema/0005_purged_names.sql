-- The name that a purged job had until another job took it; a job that is restored gets it back if it is free again.
ALTER TABLE jobs ADD COLUMN purged_name TEXT;
