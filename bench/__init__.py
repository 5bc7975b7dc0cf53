"""How fast the queue is, as ratios against baselines measured in the same run: ``python -m bench``."""
