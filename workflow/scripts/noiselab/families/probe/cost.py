"""What the stages of a probe compute and leave."""

from math import prod

from noiselab.families.work import Computing, Sizes, Work
from noiselab.run import Run

OF_GRID = ("strength", "radius", "weight_decay", "dropout")
PASSES = 6  # forward passes that a step is worth: clean and noisy features, each three


def fits(run: Run) -> int:
    """Fits of a run: of each seed, every combination of every method's values."""
    base = len(run.grid["learning_rate"]) * len(run.grid["batch_size"])
    values = (prod(len(m[name]) for name in OF_GRID if name in m) for m in run.methods.values())
    return len(run.seeds) * base * sum(values)


def fitting(sizes: Sizes) -> Work:
    """All fits, and their scores after each epoch; a row of text each."""
    run, data = sizes.run, sizes.data
    seen = run.epochs * (PASSES * data.train + data.validation)
    return Work((Computing(fits(run) * seen * sizes.network.forward),), 200.0 * fits(run))


def extraction(sizes: Sizes) -> Work:
    """A forward pass of each item; features in float32."""
    items = 0 if sizes.items is None else sizes.items.train + sizes.items.validation
    width = sizes.run.model.get("width", 512)
    return Work((Computing(items * sizes.network.forward),), 4.0 * width * items)


WORK = {"train_probe": fitting, "extract_features": extraction}
