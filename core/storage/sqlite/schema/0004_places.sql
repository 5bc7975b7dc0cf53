-- Where workers and attempts run, so that a free or missing lock and a process number are taken for what they are.

CREATE TABLE places (
    id            INTEGER PRIMARY KEY,
    boot_id       TEXT NOT NULL,                        -- of the system that runs: another one after each boot
    pid_namespace INTEGER NOT NULL,                     -- where process numbers hold; 0 where there is only one
    UNIQUE (boot_id, pid_namespace)
) STRICT;

ALTER TABLE workers ADD COLUMN place_id INTEGER;
ALTER TABLE workers ADD COLUMN lock_file TEXT;          -- device, inode and path of its lock file
ALTER TABLE attempts ADD COLUMN place_id INTEGER;       -- where its command was started; NULL before this column
