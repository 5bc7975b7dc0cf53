-- Recurring jobs, and each of their instants about which was decided.
CREATE TABLE schedules (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT NOT NULL UNIQUE CHECK (name <> ''),
    cron           TEXT,                                -- five fields; NULL for a period
    every_ms       INTEGER CHECK (every_ms >= 1000),
    zone           TEXT NOT NULL,                       -- an IANA name
    anchor_at      INTEGER NOT NULL,                    -- where a period begins
    job            TEXT NOT NULL,                       -- a JSON object: the columns of a new job
    environment_id INTEGER NOT NULL REFERENCES environments (id),
    missed         TEXT NOT NULL CHECK (missed = 'once' OR missed = 'skip' OR missed = 'all'),
    overlap        TEXT NOT NULL CHECK (overlap = 'skip' OR overlap = 'queue' OR overlap = 'replace' OR overlap = 'allow'),
    next_at        INTEGER,                             -- NULL while it is paused
    added_at       INTEGER NOT NULL,
    last_job_id    INTEGER,                             -- of the newest occurrence that has one; it may be gone
    note           TEXT,                                -- why nothing came of the last instant
    CHECK ((cron IS NULL) <> (every_ms IS NULL))
) STRICT;

CREATE INDEX schedules_due ON schedules (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE occurrences (
    schedule_id INTEGER NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    due_at      INTEGER NOT NULL,
    decided_at  INTEGER NOT NULL,
    job_id      INTEGER,                                -- NULL: none was added, see why
    why         TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (schedule_id, due_at)                   -- an instant is decided once
) STRICT, WITHOUT ROWID;
