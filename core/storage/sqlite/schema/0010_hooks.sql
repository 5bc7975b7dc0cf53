-- Hooks: commands that are enqueued as jobs when another job has ended.
CREATE TABLE hooks (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    event          TEXT NOT NULL CHECK (event = 'complete' OR event = 'dead' OR event = 'drained'),
    queue          TEXT,                                -- NULL: of all queues
    command        TEXT NOT NULL CHECK (command <> ''),
    window_ms      INTEGER NOT NULL CHECK (window_ms >= 0),
    cwd            TEXT NOT NULL,
    environment_id INTEGER NOT NULL REFERENCES environments (id),
    added_at       INTEGER NOT NULL,
    gathering      INTEGER                              -- the job that events join until it is due
) STRICT;

-- What the job of a hook is given on its standard input: each end once.
CREATE TABLE hook_events (
    hook_job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    attempt_id  INTEGER NOT NULL,                       -- the one that ended
    line        TEXT NOT NULL,                          -- a JSON object
    PRIMARY KEY (hook_job_id, attempt_id)
) STRICT, WITHOUT ROWID;

-- Commands that follow the end of this job alone.
ALTER TABLE jobs ADD COLUMN on_dead TEXT;
ALTER TABLE jobs ADD COLUMN on_complete TEXT;

-- One of several dead jobs that was replayed before the others, which are replayed by the same act once it completes.
CREATE TABLE canaries (
    act_id INTEGER PRIMARY KEY REFERENCES acts (id) ON DELETE CASCADE,
    job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE
) STRICT;

CREATE INDEX canaries_by_job ON canaries (job_id);

CREATE TABLE canary_jobs (
    job_id INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    act_id INTEGER NOT NULL REFERENCES canaries (act_id) ON DELETE CASCADE
) STRICT;

CREATE INDEX canary_jobs_by_act ON canary_jobs (act_id, job_id);

-- An end in "settling" may be wanted by a hook. "is_end" is 0 where an undo put a job back to a state that is none of
-- its own making.
ALTER TABLE settling ADD COLUMN is_end INTEGER NOT NULL DEFAULT 1;

DROP TRIGGER jobs_settle;
CREATE TRIGGER jobs_settle AFTER UPDATE OF state ON jobs
WHEN (NEW.state = 'completed' OR NEW.state = 'dead' OR NEW.state = 'cancelled')
    AND (OLD.state = 'running' OR OLD.state = 'pending')
    AND (EXISTS (SELECT 1 FROM dependencies
                 WHERE on_id = NEW.id AND is_met = 0 AND (NEW.state = 'completed' OR kind = 'end'))
         OR ((OLD.state = 'running' OR NEW.state = 'cancelled')
             AND ((NEW.state = 'dead' AND NEW.on_dead IS NOT NULL)
                  OR (NEW.state = 'completed' AND NEW.on_complete IS NOT NULL)
                  OR EXISTS (SELECT 1 FROM hooks WHERE (queue IS NULL OR queue = NEW.queue)
                             AND (event = 'drained'
                                  OR event = CASE NEW.state WHEN 'completed' THEN 'complete' ELSE NEW.state END))
                  OR EXISTS (SELECT 1 FROM canaries WHERE job_id = NEW.id)
                 ))) BEGIN
    INSERT INTO settling (job_id, attempt_id, event, has_edges, is_end) VALUES (NEW.id, NEW.attempt_id, NEW.state,
        EXISTS (SELECT 1 FROM dependencies WHERE on_id = NEW.id AND is_met = 0),
        OLD.state = 'running' OR NEW.state = 'cancelled');
END;
