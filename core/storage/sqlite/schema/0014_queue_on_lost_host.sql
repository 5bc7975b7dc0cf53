-- The same for all jobs of a queue, beside what each job says.
ALTER TABLE queues ADD COLUMN on_lost_host TEXT CHECK (on_lost_host = 'hold');
