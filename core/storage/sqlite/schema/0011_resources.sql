-- Resources: how much there is of each that was set; of any other there is one. What is in use of it is the sum over the
-- open attempts, so that nothing can leak.
CREATE TABLE resources (
    name        TEXT PRIMARY KEY,
    capacity    INTEGER NOT NULL CHECK (capacity >= 0),
    is_per_host INTEGER NOT NULL DEFAULT 0 CHECK (is_per_host IN (0, 1))
) STRICT, WITHOUT ROWID;

-- Which numbers of each resource an attempt was given: a JSON object of spans, {"gpu":"0-1,3"}; NULL for none.
ALTER TABLE attempts ADD COLUMN units TEXT;
CREATE INDEX attempts_units ON attempts (job_id, units) WHERE ended_at IS NULL AND units IS NOT NULL;

-- Ready jobs with needs have indexes of their own: by lane (one queue, the same needs) for claims, by queue for lists.
-- Those who use no resources pay for neither.
CREATE INDEX jobs_lanes ON jobs (queue, needs, priority DESC, id)
    WHERE state = 'pending' AND run_at IS NULL AND blocks = 0 AND needs IS NOT NULL;
CREATE INDEX jobs_gated ON jobs (queue, priority DESC, id)
    WHERE state = 'pending' AND run_at IS NULL AND blocks = 0 AND needs IS NOT NULL;

-- The fact lanes_epoch counts up whenever a job with needs comes, goes or moves, and when a capacity is set: a worker
-- that found that none of them can start looks at them again when it has changed. Without such a job it is not there.
DROP TRIGGER jobs_count_insert;
CREATE TRIGGER jobs_count_insert AFTER INSERT ON jobs BEGIN
    INSERT INTO counts (queue, state, gate, n) VALUES (NEW.queue, NEW.state,
        CASE WHEN NEW.state <> 'pending' THEN 0 WHEN NEW.blocks > 0 THEN 2 ELSE NEW.run_at IS NOT NULL END, 1)
        ON CONFLICT DO UPDATE SET n = n + 1;
    INSERT INTO facts (key, value) SELECT 'lanes_epoch', 1 WHERE NEW.needs IS NOT NULL
        ON CONFLICT DO UPDATE SET value = value + 1;
END;

DROP TRIGGER jobs_count_update;
CREATE TRIGGER jobs_count_update AFTER UPDATE OF queue, state, run_at, blocks ON jobs
WHEN OLD.state <> NEW.state OR OLD.queue <> NEW.queue OR (OLD.run_at IS NULL) <> (NEW.run_at IS NULL)
    OR (OLD.blocks > 0) <> (NEW.blocks > 0) BEGIN
    UPDATE counts SET n = n - 1 WHERE queue = OLD.queue AND state = OLD.state AND gate =
        CASE WHEN OLD.state <> 'pending' THEN 0 WHEN OLD.blocks > 0 THEN 2 ELSE OLD.run_at IS NOT NULL END;
    INSERT INTO counts (queue, state, gate, n) VALUES (NEW.queue, NEW.state,
        CASE WHEN NEW.state <> 'pending' THEN 0 WHEN NEW.blocks > 0 THEN 2 ELSE NEW.run_at IS NOT NULL END, 1)
        ON CONFLICT DO UPDATE SET n = n + 1;
    INSERT INTO facts (key, value) SELECT 'lanes_epoch', 1 WHERE NEW.needs IS NOT NULL
        ON CONFLICT DO UPDATE SET value = value + 1;
END;

-- Only an edit names these columns.
CREATE TRIGGER jobs_lanes_update AFTER UPDATE OF needs, priority ON jobs
WHEN NEW.needs IS NOT NULL OR OLD.needs IS NOT NULL BEGIN
    INSERT INTO facts (key, value) VALUES ('lanes_epoch', 1) ON CONFLICT DO UPDATE SET value = value + 1;
END;
