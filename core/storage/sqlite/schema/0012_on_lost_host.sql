-- What is done with a running job whose host is given up: 'hold', or NULL for run it again. In a file no host is.
ALTER TABLE jobs ADD COLUMN on_lost_host TEXT CHECK (on_lost_host = 'hold');
