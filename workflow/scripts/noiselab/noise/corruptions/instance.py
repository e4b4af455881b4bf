"""Labels that are wrong more often where a clean model is unsure."""

from typing import ClassVar, NamedTuple, Self

import numpy as np

from noiselab.errors import NoiselabError
from noiselab.noise.base import Corruption
from noiselab.noise.corruptions.labels import OF_DECISIONS
from noiselab.run import Run

# A share of the clean run's length, and a seed that other runs have not.
ANNOTATOR = {"share": 0.2, "seed": 1000}


SPLITS = ("train", "test")


class Doubts(NamedTuple):
    """What an annotator thinks of some examples."""

    first: np.ndarray  # its most probable class, int64 [n]
    second: np.ndarray  # the next, int64 [n]
    chance: np.ndarray  # that a label of this example is wrong, before scaling, float64 [n]


class InstanceDependent(Corruption):
    """Polynomial-margin noise of type I (Zhang et al., ICLR 2021, arXiv 2103.07756): an annotator,
    a clean model that was stopped early, confuses its two most probable classes where these are
    close.

    An example x with probabilities eta and margin m = eta_first - eta_second has a wrong label
    with probability q(x) = min(1, c (1 - m^2) / 2): that of its first class becomes the second,
    any other the first. c makes the mean of q over the training set e. Since q is known for each
    example, so is what a calibrated model predicts.
    """

    name = "instance_dependent"
    families = ("classifier", "vision_transformer", "diffusion")
    target = "label"
    annotated = True
    optional: ClassVar = {
        "annotator": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "share": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                "seed": {"type": "integer", "minimum": 0},
            },
            "description": "{share: of the clean run's length, seed} of the annotator",
        }
    }

    def __init__(self, rate: float, train: Doubts, test: Doubts):
        """train, test: what the annotator thinks of all training and all test examples."""
        self.rate, self.train, self.test = rate, train, test
        self.scale = scale(train.chance, rate)

    @classmethod
    def planned(cls, experiment: dict, spec: dict, where: str = "") -> dict:
        """How long the annotator is trained, and with which seed."""
        return {"annotator": ANNOTATOR | experiment.get("annotator", {})}

    @classmethod
    def variant(cls, planned: dict) -> str:
        annotator = planned["annotator"]
        return "" if annotator == ANNOTATOR else "-a{share:g}s{seed}".format(**annotator)

    @classmethod
    def from_run(cls, run: Run) -> Self:
        """NoiselabError: the annotator's file is missing, or it is too sure to be wrong so
        often."""
        try:
            with np.load(run.annotation, allow_pickle=False) as file:
                splits = (Doubts(*(file[f"{s}_{f}"] for f in Doubts._fields)) for s in SPLITS)
                return cls(run.error_rate, *splits)
        except (OSError, ValueError, KeyError) as error:
            raise NoiselabError(f"{run.annotation}: cannot be read ({error})") from error

    def error_probability(self, of: Doubts) -> np.ndarray:
        """q of each example, float64 [n]."""
        return np.minimum(1.0, self.scale * of.chance)

    def error_probabilities(self) -> np.ndarray:
        return self.error_probability(self.train)

    def taught(self, labels: np.ndarray, index: np.ndarray, u: np.ndarray):
        """Labels that examples number `index` are taught, int64 [n], and which are wrong, bool."""
        of = Doubts(*(values[index] for values in self.train))
        wrong = u < self.error_probability(of)
        true = labels[index]
        return np.where(wrong, confused(of, true), true), wrong

    def observed(self, p: np.ndarray) -> np.ndarray:
        """q(z|x) of all test examples in their order, float64 [M, C]; p: the clean conditional."""
        of, rows = self.test, np.arange(len(p))
        q, p = self.error_probability(of), p.astype(np.float64)
        observed = (1 - q)[:, None] * p
        first = p[rows, of.first]
        observed[rows, of.first] += q * (p.sum(axis=1) - first)
        observed[rows, of.second] += q * first
        return observed

    def chance(self, labels: np.ndarray, taught: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Probability that training examples number `index`, with these labels, are taught as
        those, float64 [n]."""
        of = Doubts(*(values[index] for values in self.train))
        q = self.error_probability(of)
        return (1 - q) * (labels == taught) + q * (confused(of, labels) == taught)

    def why_no_floor(self, score: str) -> str | None:
        if score in OF_DECISIONS:
            return f"this noise may turn decisions, and {OF_DECISIONS[score]}"
        if score.startswith("consistency"):
            return "which images have a wrong label depends on the images"
        return None


def doubts(probabilities: np.ndarray) -> Doubts:
    """The two most probable classes, and (1 - margin^2) / 2. probabilities: float [n, C]."""
    p = np.asarray(probabilities, dtype=np.float64)
    rows = np.arange(len(p))
    first = p.argmax(axis=1)
    others = p.copy()
    others[rows, first] = -1
    second = others.argmax(axis=1)
    margin = p[rows, first] - p[rows, second]
    return Doubts(first, second, (1 - margin**2) / 2)


def confused(of: Doubts, labels: np.ndarray) -> np.ndarray:
    """What labels, int64 [n], become if they are wrong: the first class, or the second in its
    place."""
    return np.where(labels == of.first, of.second, of.first)


def scale(chances: np.ndarray, rate: float) -> float:
    """c for which the mean of min(1, c chance) is the rate, up to rounding. chances: float64 [n].

    NoiselabError: there is none, since too few examples leave the annotator any doubt.
    """
    if not np.isfinite(chances).all():
        raise NoiselabError("the training of the annotator diverged: nobody knows what it doubts")
    ordered = np.sort(chances[chances > 0])[::-1]
    wanted = rate * len(chances)
    if len(ordered) < wanted:
        share = 100 * len(ordered) / len(chances)
        found = f"the annotator doubts {share:.4g} % of the training examples"
        raise NoiselabError(f"{found}, too few for an error rate of {100 * rate:.4g} %")
    # If the k most doubtful are wrong with certainty, the others share what is left of the rate.
    rest = np.cumsum(ordered[::-1])[::-1]
    scales = (wanted - np.arange(len(ordered))) / rest
    fitting = scales * ordered <= 1
    return float(scales[fitting.argmax()] if fitting.any() else 1 / ordered[-1])
