"""Wrong labels between classes that look alike."""

from typing import ClassVar, Self

import numpy as np

from noiselab.errors import NoiselabError
from noiselab.files import digest
from noiselab.noise.corruptions.labels import LabelCorruption
from noiselab.noise.flips import checked, pairs, usual
from noiselab.run import Run


class Asymmetric(LabelCorruption):
    """Some classes become one certain other class each, others are untouched (Patrini et al., 2017,
    "Making deep neural networks robust to label noise").

    rate: of a class that is touched, so that of all labels fewer are wrong; flips: class -> what it
    becomes; None: every second class becomes the one after it.
    """

    name = "asymmetric"
    optional: ClassVar = {
        "flips": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": "integer", "minimum": 0},
            "description": "a mapping from classes to what they become, such as {9: 1, 2: 0}",
        }
    }

    def __init__(self, rate: float, classes: int, flips: dict[int, int] | None = None):
        self.flips = pairs(classes) if flips is None else flips
        self.becomes = np.arange(classes)
        self.becomes[list(self.flips)] = list(self.flips.values())
        super().__init__(rate * (self.becomes != np.arange(classes)), classes)

    @classmethod
    def planned(cls, experiment: dict, spec: dict, where: str = "") -> dict:
        """The flips, by default the usual ones of the data set, and where they are from."""
        if "flips" not in experiment:
            found, source = usual(spec["name"], spec["classes"])
        else:
            try:
                found, source = checked(experiment["flips"], spec["classes"]), "experiment"
            except ValueError as error:
                raise NoiselabError(f"{where}flips.{error} (data set {spec['name']})") from error
        return {"flips": {str(y): z for y, z in sorted(found.items())}, "flips_from": source}

    @classmethod
    def variant(cls, planned: dict) -> str:
        own = planned["flips_from"] == "experiment"
        return f"-{digest(planned['flips'])[:6]}" if own else ""

    @classmethod
    def from_run(cls, run: Run) -> Self:
        return cls(run.error_rate, run.classes, {int(y): z for y, z in run.flips.items()})

    def wrong_labels(self) -> np.ndarray:
        """W, float64 [C, C]; all 0 in the row of a class that is untouched."""
        every = np.arange(self.classes)
        return (self.becomes[:, None] == every) * (self.becomes != every)[:, None] * 1.0

    def replacements(self, targets: np.ndarray, v: np.ndarray) -> np.ndarray:
        """As from W, without a search."""
        return self.becomes[targets].astype(targets.dtype)
