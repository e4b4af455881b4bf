"""What a family says about the cost of its runs: sizes, and what a stage computes and leaves.

cost.py of a family has `glance`, the examples of one evaluation during training, and WORK, rule of
a stage -> function of the run's sizes; and ANALYSES where runs of the family are analysed, script
-> (kind of computing, function of the options). Arithmetic only, without torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from noiselab.families.descriptor import OWN
from noiselab.run import Run

PAIRED = ("stability", "sensitivity")  # settings whose loss compares an input with a noisy copy
DECODING, SCORES = "decoding", "scores"  # kinds of computing, keys of `efficiency`


class Network(NamedTuple):
    """Size of a run's network."""

    parameters: int
    forward: float  # FLOPs of the forward pass of one example
    longest: float = 0.0  # the same with a target of the greatest length, of pairs only


class Data(NamedTuple):
    """Size of a data set: images, tokens of a text, or pairs."""

    train: float
    validation: float
    source: float = 0.0  # mean tokens per pair, clipped
    target: float = 0.0
    bytes: float = 0.0  # prepared
    image: int | None = None  # pixels along one side

    def held_out(self, wanted: int | None) -> float:
        """So many of the validation examples, or all."""
        return min(wanted or self.validation, self.validation)


def passes(run: Run) -> int:
    """Passes of a training step, forward and backward, through each example of its batch."""
    return 2 if any(run.get(name) for name in PAIRED) else 1


@dataclass(frozen=True)
class Sizes:
    """A run, and how large everything is that its stages see."""

    run: Run
    data: Data
    network: Network
    parents: Mapping[str, "Sizes"] = field(default_factory=dict)  # by role
    variant: str = ""  # of the stage
    items: Data | None = None  # the data set that the variant is called after


class Computing(NamedTuple):
    """Floating-point operations of a stage on one network."""

    flops: float
    role: str = OWN  # of the run whose network computes, at the speed of its training
    kind: str = ""  # of `efficiency`: the share of that speed; "": all of it


class Work(NamedTuple):
    """What a stage computes, and the bytes that it leaves."""

    computing: tuple[Computing, ...] = ()
    bytes: float = 0.0


def glance(sizes: Sizes) -> float:
    """Examples of one evaluation during training, where a family does not say: all held out."""
    return sizes.data.validation


WORK: dict = {}  # of a family that does not say: its stages compute nothing beside the training


def nothing(sizes: Sizes) -> Work:
    """Of a training that ends without predictions."""
    return Work()


def snapshots(run: Run) -> int:
    """Networks that a training predicts with at its end: its last, and one on its way."""
    return 2 if "snapshot_step" in run.training else 1
