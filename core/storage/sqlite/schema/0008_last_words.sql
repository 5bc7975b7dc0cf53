-- What the output of an attempt says of why it ended, and which failures are the same. A job has those of its newest
-- attempt. Attempts that ended before this have none until their dead job is looked at in a group.
ALTER TABLE attempts ADD COLUMN last_line TEXT;
ALTER TABLE attempts ADD COLUMN fingerprint INTEGER;
ALTER TABLE jobs ADD COLUMN last_line TEXT;
ALTER TABLE jobs ADD COLUMN fingerprint INTEGER;
-- This reads all jobs once: of a million completed ones 0.18 s, where the copy that is made before takes 0.7 s. Nothing
-- else of a migration may look at them all.
CREATE INDEX jobs_groups ON jobs (fingerprint, queue, since) WHERE state = 'dead';
