"""What the stages of a probe compute and leave."""

from math import prod

from noiselab.families.probe.lists import LISTS, OF_RUN
from noiselab.families.work import Computing, Sizes, Work
from noiselab.run import Run

PASSES = 6  # forward passes that a step is worth: clean and noisy features, each three


def fits(run: Run) -> int:
    """Fits of a run: of each seed, every combination of every method's values."""
    lists = (run.grid | method for method in run.methods.values())
    each = [
        prod(len(values[name]) for name in (*OF_RUN, *LISTS) if name in values) for values in lists
    ]
    return len(run.seeds) * sum(each)


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
