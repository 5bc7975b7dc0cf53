"""Where the dashboard meets the queue: threads in, messages out. Nothing else uses the queue's facade and worker."""
