"""Scores of a diffusion model from what was measured on its images, with the floors."""

from pathlib import Path

import numpy as np

from noiselab.data import prepared
from noiselab.families.diffusion.family import by_inception
from noiselab.measures import frechet
from noiselab.measures.metrics import diffusion_metrics
from noiselab.noise.registry import corruption
from noiselab.run import Run


def scores(run: Run, files: dict[str, Path]) -> dict[str, dict]:
    """All scores of a run. files: `measured` and `moments` of its images, `clean`, what was
    measured on those of the clean run, `judge`, the judge's predictions, and `reference`, the
    moments of the training set; all npz."""
    _, train, test = prepared.read(run.data)
    counts = np.bincount(train.y, minlength=run.classes)
    moments, reference = (frechet.load(files[name]) for name in ("moments", "reference"))
    distance = frechet.frechet_distance(moments, reference)
    return diffusion_metrics(
        np.load(files["measured"]),
        np.load(files["clean"]),
        np.load(files["judge"])["test"],
        np.asarray(test.y),
        {"fid" if by_inception(run) else "judge_frechet": distance},
        counts / counts.sum(),
        corruption(run),
    )
