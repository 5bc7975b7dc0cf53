-- What keeps a pending job back is counted in its row: "blocks" are its unmet dependencies, and one more while it is held.
-- Ready is pending, run_at NULL, blocks 0; only those are in the claim index, so that all others cost a claim nothing.

ALTER TABLE jobs ADD COLUMN is_held INTEGER NOT NULL DEFAULT 0 CHECK (is_held IN (0, 1));
ALTER TABLE jobs ADD COLUMN blocks INTEGER NOT NULL DEFAULT 0 CHECK (blocks >= 0);
ALTER TABLE jobs ADD COLUMN needs TEXT;                 -- a JSON object of resources, keys sorted; NULL needs none

DROP INDEX jobs_claim;
DROP INDEX jobs_ready;
DROP INDEX jobs_delayed;
CREATE INDEX jobs_claim ON jobs (queue, priority DESC, id)
    WHERE state = 'pending' AND run_at IS NULL AND blocks = 0 AND needs IS NULL;
CREATE INDEX jobs_ready ON jobs (priority DESC, id) WHERE state = 'pending' AND run_at IS NULL AND blocks = 0;
CREATE INDEX jobs_delayed ON jobs (run_at, id, priority, queue, blocks) WHERE run_at IS NOT NULL AND blocks = 0;
CREATE INDEX jobs_blocked ON jobs (priority DESC, id) WHERE state = 'pending' AND blocks > 0;

-- An edge: a job waits for another one, until it completes or until it ends in any way. Met stays met.
CREATE TABLE dependencies (
    job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    on_id  INTEGER NOT NULL REFERENCES jobs (id),       -- the needed job; it is never removed while an edge is unmet
    kind   TEXT NOT NULL CHECK (kind = 'complete' OR kind = 'end'),
    is_met INTEGER NOT NULL CHECK (is_met = 0 OR is_met = 1),
    PRIMARY KEY (job_id, on_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX dependencies_by_needed ON dependencies (on_id, is_met, kind, job_id);

-- Ended jobs of which not all consequences are drawn: some of the unmet edges to them are still to be met.
CREATE TABLE settling (
    id         INTEGER PRIMARY KEY,                     -- the order in which they are drawn
    job_id     INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    attempt_id INTEGER,                                 -- its newest attempt, if it ever had one
    event      TEXT NOT NULL CHECK (event = 'completed' OR event = 'dead' OR event = 'cancelled'),
    has_edges  INTEGER NOT NULL DEFAULT 1 CHECK (has_edges = 0 OR has_edges = 1)
) STRICT;

CREATE INDEX settling_by_job ON settling (job_id);

CREATE TRIGGER jobs_settle AFTER UPDATE OF state ON jobs
WHEN (NEW.state = 'completed' OR NEW.state = 'dead' OR NEW.state = 'cancelled')
    AND (OLD.state = 'running' OR OLD.state = 'pending')
    AND EXISTS (SELECT 1 FROM dependencies
                WHERE on_id = NEW.id AND is_met = 0 AND (NEW.state = 'completed' OR kind = 'end')) BEGIN
    INSERT INTO settling (job_id, attempt_id, event) VALUES (NEW.id, NEW.attempt_id, NEW.state);
END;

CREATE TRIGGER jobs_hold AFTER UPDATE OF is_held ON jobs WHEN OLD.is_held <> NEW.is_held BEGIN
    UPDATE jobs SET blocks = NEW.is_held + (SELECT count(*) FROM dependencies WHERE job_id = NEW.id AND is_met = 0)
        WHERE id = NEW.id;
END;

-- "gate" says what a pending job waits for: 0 nothing, it is ready; 1 its time; 2 other jobs, or its release.
DROP TRIGGER jobs_count_insert;
DROP TRIGGER jobs_count_update;
DROP TRIGGER jobs_count_delete;
CREATE TABLE counts_by_gate (
    queue TEXT NOT NULL,
    state TEXT NOT NULL,
    gate  INTEGER NOT NULL CHECK (gate BETWEEN 0 AND 2),
    n     INTEGER NOT NULL CHECK (n >= 0),
    PRIMARY KEY (queue, state, gate)
) STRICT, WITHOUT ROWID;
INSERT INTO counts_by_gate (queue, state, gate, n) SELECT queue, state, is_delayed, n FROM counts;
DROP TABLE counts;
ALTER TABLE counts_by_gate RENAME TO counts;

CREATE TRIGGER jobs_count_insert AFTER INSERT ON jobs BEGIN
    INSERT INTO counts (queue, state, gate, n) VALUES (NEW.queue, NEW.state,
        CASE WHEN NEW.state <> 'pending' THEN 0 WHEN NEW.blocks > 0 THEN 2 ELSE NEW.run_at IS NOT NULL END, 1)
        ON CONFLICT DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER jobs_count_update AFTER UPDATE OF queue, state, run_at, blocks ON jobs
WHEN OLD.state <> NEW.state OR OLD.queue <> NEW.queue OR (OLD.run_at IS NULL) <> (NEW.run_at IS NULL)
    OR (OLD.blocks > 0) <> (NEW.blocks > 0) BEGIN
    UPDATE counts SET n = n - 1 WHERE queue = OLD.queue AND state = OLD.state AND gate =
        CASE WHEN OLD.state <> 'pending' THEN 0 WHEN OLD.blocks > 0 THEN 2 ELSE OLD.run_at IS NOT NULL END;
    INSERT INTO counts (queue, state, gate, n) VALUES (NEW.queue, NEW.state,
        CASE WHEN NEW.state <> 'pending' THEN 0 WHEN NEW.blocks > 0 THEN 2 ELSE NEW.run_at IS NOT NULL END, 1)
        ON CONFLICT DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER jobs_count_delete AFTER DELETE ON jobs BEGIN
    UPDATE counts SET n = n - 1 WHERE queue = OLD.queue AND state = OLD.state AND gate =
        CASE WHEN OLD.state <> 'pending' THEN 0 WHEN OLD.blocks > 0 THEN 2 ELSE OLD.run_at IS NOT NULL END;
END;
