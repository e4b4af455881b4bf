"""The training loop, its checkpoints and weights."""
