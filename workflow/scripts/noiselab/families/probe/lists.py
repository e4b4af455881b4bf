"""Settings of a probe that are lists, of which each value is tried with each of the others."""

OF_RUN = ("learning_rate", "batch_size")  # of the run's grid; a method may have rates of its own
LISTS = ("strength", "radius", "weight_decay", "dropout")  # of a method
