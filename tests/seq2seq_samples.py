"""Random pairs, and runs of the sequence-to-sequence family on them, for the tests."""

import numpy as np

from noiselab.data import pairs
from noiselab.data.pairs import Pairs
from noiselab.planning import config, runs

COUNT = 203


def random_sequences(rng, path, count, longest):
    lengths = rng.integers(1, longest + 1, count)
    lengths[0] = longest + 5  # beyond the limit
    pairs.write_sequences(path, [rng.integers(3, 400, n).astype(np.uint16) for n in lengths])
    return pairs.read_sequences(path)


def random_pairs(folder):
    """Random pairs, and the targets of a teacher, in a folder."""
    rng = np.random.default_rng(0)
    for split, count in (("train", COUNT), ("validation", 30)):
        for side, longest in (("source", 14), ("target", 10)):
            random_sequences(rng, folder / f"{split}_{side}", count, longest)
    random_sequences(rng, folder / "targets", COUNT, 11)
    return folder


def run_of(folder, ratio=1.0, **changes):
    settings = config.load(tier="smoke")
    experiment = {"noise_ratios": [ratio], "datasets": ["name2doc"]} | changes
    settings = config.load({"experiments": {"table9": experiment}}, tier="smoke")
    plan = runs.plan(settings, "r")
    run = plan.runs[plan.experiments["table9"][0]] | {"data": str(folder)}
    return run | ({"teacher_targets": str(folder / "targets")} if ratio else {})


def both(folder, split="train"):
    sides = [pairs.read_sequences(folder / f"{split}_{side}") for side in ("source", "target")]
    return Pairs(*sides)
