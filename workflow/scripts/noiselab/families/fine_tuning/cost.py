"""What fine-tuning computes and leaves."""

from math import prod

from noiselab.families.work import Computing, Sizes, Work
from noiselab.run import Run

LISTS = ("weight", "noise", "strength", "radius")
PASSES = {"smart": 9, "lnsr": 6}  # forward passes that a step is worth; of others, three


def fits(run: Run) -> dict[str, int]:
    """Method -> its fits: of each seed, every combination of values."""
    base = len(run.seeds) * len(run.grid["learning_rate"]) * len(run.grid["batch_size"])
    counts = {name: [len(m[key]) for key in LISTS if key in m] for name, m in run.methods.items()}
    return {name: base * prod(own) for name, own in counts.items()}


def tuning(sizes: Sizes) -> Work:
    """All fits, each scored after each epoch."""
    run, data, total = sizes.run, sizes.data, 0.0
    for name, count in fits(run).items():
        passes = PASSES.get(run.methods[name].get("regulariser"), 3)
        total += count * run.epochs * (passes * data.train + data.validation)
    return Work((Computing(total * sizes.network.forward),), 200.0 * sum(fits(run).values()))


WORK = {"train_fine_tuning": tuning}
