"""One training loop, its checkpoints, and evaluation."""
