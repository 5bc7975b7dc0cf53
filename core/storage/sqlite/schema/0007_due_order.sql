-- Jobs whose time has come stand among the ready ones, in the order of claims, before a worker has found them so; that
-- order, and how many they are in each queue, are read from the index alone.
DROP INDEX jobs_delayed;
CREATE INDEX jobs_delayed ON jobs (run_at, id, priority, queue) WHERE run_at IS NOT NULL;
