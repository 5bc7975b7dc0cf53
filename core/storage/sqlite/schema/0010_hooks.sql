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
