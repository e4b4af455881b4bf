"""What a corruption of training targets is, and the register of all kinds."""

import re
from collections.abc import Sequence
from typing import ClassVar, Self

import numpy as np

from noiselab.run import Run

# Closer probabilities of *observed* labels are a tie, as a share of the gap between the two most
# probable classes without noise: where the noise makes two classes equally likely, what is left of
# the clean model's preference (its smallest probabilities) is no decision that any model could
# learn.
TIE = 1e-3

NAME = re.compile("[A-Za-z0-9_]+")  # of a corruption, which ids of runs and names of files have

CORRUPTIONS: dict[str, type["Corruption"]] = {}  # name in the configuration -> class


class Corruption:
    """One kind of wrong training targets, at a rate: how they are drawn, and what a calibrated
    model of them predicts.

    A subclass with a `name` registers itself; ValueError: it is taken, or has other characters than
    letters, digits and _. rate: probability that a target is corrupted.
    """

    name: ClassVar[str]
    families: ClassVar[tuple[str, ...]] = ()  # of models for which an experiment may choose it
    # What is corrupted as a whole: label, token, sequence; stretch, of inputs and targets.
    target: ClassVar[str | None] = None
    resamples: ClassVar[tuple[str, ...]] = ("fixed", "fresh")  # once per example | at each visit
    why_resamples: ClassVar[str] = ""  # where not both are possible
    # Whether its rate is an experiment's, by one of `rate_keys`. Otherwise it has a rate of its
    # own, as a file or data have, and an experiment plans a clean and a noisy run.
    rated: ClassVar[bool] = True
    rate_keys: ClassVar[tuple[str, ...]] = ("noise_ratios", "error_rates")
    # Further keys that an experiment with it must have, and those that it may; others must not have
    # them: key -> JSON schema, whose description is what an error message says.
    options: ClassVar[dict[str, dict]] = {}
    optional: ClassVar[dict[str, dict]] = {}
    # Whether what is wrong depends on what an annotator, a run of its own, thinks of the example.
    annotated: ClassVar[bool] = False
    tie: float = TIE  # probabilities of observed targets that are closer are equal, see TIE
    rate: float | np.ndarray  # float [C] where it depends on the class

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "name" not in vars(cls):
            return
        if not isinstance(cls.name, str) or not NAME.fullmatch(cls.name):
            raise ValueError(f"name {cls.name!r} of {cls.__name__}: letters, digits and _ alone")
        if cls.name in CORRUPTIONS:
            places = f"{CORRUPTIONS[cls.name].__module__}, {cls.__module__}"
            raise ValueError(f"two corruptions are called {cls.name!r} ({places})")
        CORRUPTIONS[cls.name] = cls

    @classmethod
    def planned(cls, experiment: dict, spec: dict, where: str = "") -> dict:
        """Keys of its own in run.json. spec: the data set's; where: what stands before the name of
        a key in a message. NoiselabError: an option does not suit the data set."""
        return {}

    @classmethod
    def planned_rate(cls, planned: dict) -> float | None:
        """The error rate that it has of its own, from its keys of run.json, where it is not
        `rated`; None: nobody knows it while planning."""
        return None

    @classmethod
    def variant(cls, planned: dict) -> str:
        """What its own keys of run.json add to the run's id."""
        return ""

    @classmethod
    def from_run(cls, run: Run) -> Self:
        """The corruption that a run is trained with, from its run.json."""
        raise NotImplementedError

    def draw(self, targets: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """New targets, as `targets`, and which of them are corrupted, bool.

        targets: int, any shape; u: uniform in [0, 1), float of that shape. One number per target
        decides everything: it is corrupted where u < e, and u / e, again uniform there, picks the
        wrong one. With the same u, what is corrupted at a small e is so at every larger e, too.
        """
        rate = self.rate if np.ndim(self.rate) == 0 else self.rate[targets]
        corrupted = u < rate
        v = np.divide(u, rate, out=np.zeros(u.shape), where=corrupted)
        return np.where(corrupted, self.replacements(targets, v), targets), corrupted

    def taught(self, targets: np.ndarray, index: np.ndarray, u: np.ndarray | None):
        """New targets of the training examples number `index`, and which of them are corrupted, as
        `draw` has them. targets: those of all examples, int64 [N]; index: int64 [n]."""
        return self.draw(targets[index], u)

    @property
    def knows_clean(self) -> bool:
        """Whether the true targets are known."""
        return True

    def error_probabilities(self) -> np.ndarray | None:
        """Probability that the target of each training example is corrupted, float64 [N]; None
        where it does not depend on the example."""
        return None

    def replacements(self, targets: np.ndarray, v: np.ndarray) -> np.ndarray:
        """What each target becomes if it is corrupted. v: uniform numbers of its shape; one that
        is below 1 can have been rounded to 1."""
        raise NotImplementedError(f"{self.name} does not corrupt target by target")

    def observed(self, p):
        """What a calibrated model of the corrupted targets predicts where one of the clean targets
        predicts p. None: that is unknown, and so is every floor."""
        return None

    def observed_agreement(self, agreement):
        """Probability that a target drawn from q agrees with the true one, where one drawn from p
        does so with probability `agreement`; None where it takes more to know."""
        return None

    def origins(self, prior: np.ndarray) -> np.ndarray | None:
        """P(y|z), the probability that a label observed as z is truly y, float64 [z, y], not a
        number for a z that is never observed; None: unknown. prior: shares of the classes, [C]."""
        return None

    def why_no_floor(self, score: str) -> str | None:
        """Why no floor of a score is known, in a sentence that tables show; None: it is known.
        score: name of a metric that a floor is asked for."""
        return None

    @property
    def true_error_rate(self) -> float | None:
        """Share of targets that really differ from the true ones, where each class is as frequent;
        None: unknown. The rate of an experiment is nominal: a corrupted target may be the true one
        by chance, and some classes may be spared."""
        return float(np.mean(self.rate))

    def facts(self, class_names: Sequence[str] | None = None) -> dict:
        """What metrics.json says of it: `true_error_rate`, and `class_error_rates`, a text, where
        the rates differ by class. class_names: for that text; None: their numbers."""
        return {"true_error_rate": self.true_error_rate}
