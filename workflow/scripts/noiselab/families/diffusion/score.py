"""Scores of a diffusion model from what was measured on its images, with the floors."""

from pathlib import Path

import numpy as np

from noiselab import reading
from noiselab.data import prepared
from noiselab.families.classifier.score import predictions
from noiselab.families.diffusion.family import by_inception
from noiselab.measures import frechet
from noiselab.measures.generated import diffusion_metrics
from noiselab.noise.registry import corruption
from noiselab.run import Run


def measured(path: Path, run: Run, count: int) -> dict[str, np.ndarray]:
    """What was measured on a run's images, and on the first of `count` test images. NoiselabError:
    the file is broken, or of another run or data set."""
    found = reading.arrays(path, "decided", "class_errors")
    reading.expect(found["decided"], path, "decided", "i", (run.evaluation["images"],))
    shape = (min(run.evaluation["classified"], count), run.classes)
    reading.expect(found["class_errors"], path, "class_errors", "f", shape)
    return found


def scores(run: Run, files: dict[str, Path]) -> dict[str, dict]:
    """All scores of a run. files: `measured` and `moments` of its images, `clean`, what was
    measured on those of the clean run, `judge`, the judge's predictions, and `reference`, the
    moments of the training set; all npz."""
    _, train, test = prepared.read(run.data)
    counts = np.bincount(train.y, minlength=run.classes)
    moments, reference = (frechet.load(files[name]) for name in ("moments", "reference"))
    distance = frechet.frechet_distance(moments, reference)
    return diffusion_metrics(
        measured(files["measured"], run, len(test.y)),
        measured(files["clean"], run, len(test.y)),
        predictions(files["judge"], run, len(test.y))["test"],
        np.asarray(test.y),
        {"fid" if by_inception(run) else "judge_frechet": distance},
        counts / counts.sum(),
        corruption(run),
    )
