-- What the output of an attempt says of why it ended, and which failures are the same. A job has those of its newest
-- attempt. Attempts that ended before this have none until their dead job is looked at in a group.
ALTER TABLE attempts ADD COLUMN last_line TEXT;
ALTER TABLE attempts ADD COLUMN fingerprint INTEGER;
ALTER TABLE jobs ADD COLUMN last_line TEXT;
ALTER TABLE jobs ADD COLUMN fingerprint INTEGER;
CREATE INDEX jobs_groups ON jobs (fingerprint, queue, since) WHERE state = 'dead';
