-- Jobs, their attempts, and what people did to them.
--
-- Instants are unix milliseconds. A pending job that is due has run_at NULL; one that waits has run_at set. So the claim
-- index holds only what can be claimed, and delayed jobs cost a claim nothing, whatever their number and priority.

CREATE TABLE environments (
    id        INTEGER PRIMARY KEY,
    digest    INTEGER NOT NULL,              -- crc32 of variables: finds, never decides
    mode      TEXT NOT NULL CHECK (mode IN ('safe', 'all', 'none')),
    variables TEXT NOT NULL                  -- a JSON object, keys sorted
) STRICT;

CREATE INDEX environments_by_digest ON environments (digest);

CREATE TABLE jobs (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,   -- never reused, also after a prune
    name           TEXT UNIQUE CHECK (name IS NULL OR name GLOB '*[^0-9]*'),
    command        TEXT NOT NULL CHECK (command <> ''),
    queue          TEXT NOT NULL CHECK (queue <> ''),
    priority       INTEGER NOT NULL DEFAULT 0,
    label          TEXT,
    cwd            TEXT NOT NULL,
    environment_id INTEGER NOT NULL REFERENCES environments (id),
    env            TEXT,                                -- a JSON object of what --env added, or NULL
    max_attempts   INTEGER NOT NULL CHECK (max_attempts >= 1),
    timeout_ms     INTEGER CHECK (timeout_ms > 0),
    backoff_base   REAL NOT NULL CHECK (backoff_base >= 1),
    ok_exit        TEXT,
    dead_exit      TEXT,
    -- OR, because SQLite builds a table for an IN of more than two values, each time that it checks
    state          TEXT NOT NULL DEFAULT 'pending'
                   CHECK (state = 'pending' OR state = 'running' OR state = 'completed' OR state = 'dead'
                          OR state = 'cancelled' OR state = 'purged'),
    run_at         INTEGER CHECK (run_at IS NULL OR state = 'pending'),
    attempts       INTEGER NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND max_attempts),
    interrupts     INTEGER NOT NULL DEFAULT 0 CHECK (interrupts >= 0),
    starts         INTEGER NOT NULL DEFAULT 0 CHECK (starts >= 0),   -- attempt rows ever opened
    enqueued_at    INTEGER NOT NULL,
    due_at         INTEGER NOT NULL,                    -- when the wait for a slot began or begins
    since          INTEGER NOT NULL,                    -- when the job entered its state
    attempt_id     INTEGER,                             -- the newest attempt; the fields below speak of it
    started_at     INTEGER,
    finished_at    INTEGER,
    run_ms         INTEGER CHECK (run_ms >= 0),
    outcome        TEXT,
    exit_code      INTEGER,
    signal         INTEGER,
    error          TEXT,
    purged_from    TEXT CHECK ((purged_from IS NULL) = (state <> 'purged')),
    CHECK (state <> 'running' OR (attempt_id IS NOT NULL AND started_at IS NOT NULL))
) STRICT;

CREATE INDEX jobs_claim ON jobs (queue, priority DESC, id) WHERE state = 'pending' AND run_at IS NULL;
CREATE INDEX jobs_ready ON jobs (priority DESC, id) WHERE state = 'pending' AND run_at IS NULL;
CREATE INDEX jobs_delayed ON jobs (run_at, id) WHERE run_at IS NOT NULL;
CREATE INDEX jobs_running ON jobs (started_at, id) WHERE state = 'running';
CREATE INDEX jobs_done ON jobs (since, id) WHERE state IN ('completed', 'cancelled');
CREATE INDEX jobs_finished ON jobs (state, since, id) WHERE state NOT IN ('pending', 'running');

CREATE TABLE attempts (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id         INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number         INTEGER NOT NULL CHECK (number >= 1),
    worker_id      INTEGER NOT NULL,
    started_at     INTEGER NOT NULL,
    ended_at       INTEGER,
    run_ms         INTEGER CHECK (run_ms >= 0),
    outcome        TEXT CHECK (outcome = 'succeeded' OR outcome = 'failed' OR outcome = 'signalled'
                               OR outcome = 'timed_out' OR outcome = 'spawn_error' OR outcome = 'cancelled'
                               OR outcome = 'interrupted' OR outcome = 'lost'),
    exit_code      INTEGER,
    signal         INTEGER,
    error          TEXT,
    stop_requested TEXT CHECK (stop_requested IN ('cancel', 'kill')),
    output_bytes   INTEGER CHECK (output_bytes >= 0),
    output         BLOB,                                -- NULL: none, or still in its file
    CHECK ((ended_at IS NULL) = (outcome IS NULL)),
    UNIQUE (job_id, number)
) STRICT;

CREATE INDEX attempts_open ON attempts (worker_id, id) WHERE ended_at IS NULL;

-- How many jobs of each queue stand where: kept by triggers, read in microseconds.
CREATE TABLE counts (
    queue      TEXT NOT NULL,
    state      TEXT NOT NULL,
    is_delayed INTEGER NOT NULL CHECK (is_delayed IN (0, 1)),
    n          INTEGER NOT NULL CHECK (n >= 0),
    PRIMARY KEY (queue, state, is_delayed)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER jobs_count_insert AFTER INSERT ON jobs BEGIN
    INSERT INTO counts (queue, state, is_delayed, n) VALUES (NEW.queue, NEW.state, NEW.run_at IS NOT NULL, 1)
        ON CONFLICT DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER jobs_count_update AFTER UPDATE OF queue, state, run_at ON jobs
WHEN OLD.state <> NEW.state OR OLD.queue <> NEW.queue OR (OLD.run_at IS NULL) <> (NEW.run_at IS NULL) BEGIN
    UPDATE counts SET n = n - 1
        WHERE queue = OLD.queue AND state = OLD.state AND is_delayed = (OLD.run_at IS NOT NULL);
    INSERT INTO counts (queue, state, is_delayed, n) VALUES (NEW.queue, NEW.state, NEW.run_at IS NOT NULL, 1)
        ON CONFLICT DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER jobs_count_delete AFTER DELETE ON jobs BEGIN
    UPDATE counts SET n = n - 1
        WHERE queue = OLD.queue AND state = OLD.state AND is_delayed = (OLD.run_at IS NOT NULL);
END;

-- Queues that were given a pause flag or a limit; any other queue is open and unlimited.
CREATE TABLE queues (
    name          TEXT PRIMARY KEY,
    is_paused     INTEGER NOT NULL DEFAULT 0 CHECK (is_paused IN (0, 1)),
    running_limit INTEGER CHECK (running_limit >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE workers (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    pid        INTEGER NOT NULL,
    host       TEXT NOT NULL,
    slots      INTEGER NOT NULL CHECK (slots >= 0),
    queues     TEXT NOT NULL,                           -- a JSON array; empty serves all
    started_at INTEGER NOT NULL,
    stop       TEXT CHECK (stop IN ('drain', 'now'))
) STRICT;

-- What people did: one act per verb, one history row per job it touched, with the fields as they were before.
CREATE TABLE acts (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    verb      TEXT NOT NULL,
    at        INTEGER NOT NULL,
    n         INTEGER NOT NULL DEFAULT 0,
    undone_at INTEGER
) STRICT;

CREATE TABLE history (
    act_id INTEGER NOT NULL REFERENCES acts (id) ON DELETE CASCADE,
    job_id INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    before TEXT NOT NULL,                               -- a JSON object
    PRIMARY KEY (act_id, job_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX history_by_job ON history (job_id, act_id);

CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Single facts: is_paused (everything), synced_at (touched to make a worker's last results durable), failed_commits.
CREATE TABLE facts (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Per-minute totals and duration histograms feed throughput and metrics without scans.
CREATE TABLE minutes (
    minute    INTEGER PRIMARY KEY,                      -- unix minutes
    enqueued  INTEGER NOT NULL DEFAULT 0,
    succeeded INTEGER NOT NULL DEFAULT 0,
    failed    INTEGER NOT NULL DEFAULT 0,
    dead      INTEGER NOT NULL DEFAULT 0,
    run_ms    INTEGER NOT NULL DEFAULT 0,
    wait_ms   INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE durations (
    minute INTEGER NOT NULL,
    kind   TEXT NOT NULL CHECK (kind IN ('run', 'wait')),
    bucket INTEGER NOT NULL,                            -- floor(4 * log2(milliseconds + 1))
    n      INTEGER NOT NULL,
    PRIMARY KEY (minute, kind, bucket)
) STRICT, WITHOUT ROWID;
