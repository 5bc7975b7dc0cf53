-- What an attempt used, as the kernel counted it; NULL where that is not known. A job has those of its newest attempt.
ALTER TABLE attempts ADD COLUMN cpu_ms INTEGER;
ALTER TABLE attempts ADD COLUMN max_rss_bytes INTEGER;  -- of its largest process
ALTER TABLE jobs ADD COLUMN cpu_ms INTEGER;
ALTER TABLE jobs ADD COLUMN max_rss_bytes INTEGER;
