"""Consistency of images that trained diffusion models draw with guidance, or with known label
noise taken out, beside those that they draw as they are."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from noiselab.data import prepared
from noiselab.errors import run_script
from noiselab.families.classifier import task as classifier
from noiselab.families.descriptor import CLEAN, JUDGE
from noiselab.families.diffusion import task as diffusion
from noiselab.files import whole_file
from noiselab.measures.features import in_batches
from noiselab.measures.generated import generated_labels
from noiselab.models import guidance
from noiselab.noise.registry import corruption
from noiselab.run import Run
from noiselab.training import distributed
from noiselab.training.weights import load_weights

KEYS = ["run_id", "family", "dataset", "stands_in_for", "protocol", "corruption", "seed"]
KEYS += ["noise_ratio", "error_rate"]
PLAIN, KNOWN = "as it is", "known noise taken out"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json files")
    parser.add_argument("--weights", type=Path, nargs="+", required=True, help="of each")
    parser.add_argument("--images", type=int, required=True, help="of each way")
    parser.add_argument("--strengths", type=float, nargs="+", required=True, help="of guidance")
    parser.add_argument("--out", type=Path, required=True, help="csv")
    arguments = parser.parse_args()
    files = {run.run_id: (run, path) for run, path in _read(arguments)}
    judged: dict[str, dict[str, float]] = {}
    with distributed.process_group() as device:
        for run, path in files.values():
            if JUDGE in run.parents:
                judge = files[run.parents[JUDGE]]
                judged[run.run_id] = _consistencies(run, path, judge, arguments, device)
    rows = [row for name, ways in judged.items() for row in _rows(files[name][0], ways, judged)]
    with whole_file(arguments.out) as path:
        pd.DataFrame(rows).to_csv(path, index=False)


def _read(arguments: argparse.Namespace):
    return zip(map(Run.read, arguments.runs), arguments.weights, strict=True)


def _consistencies(run: Run, weights: Path, judge: tuple[Run, Path], arguments, device) -> dict:
    """Share of the images whose class the judge sees, per cent, by the way that they are drawn."""
    description, train, _ = prepared.read_run(run)
    judge_run, judge_weights = judge
    judge_model = classifier.build(judge_run, description)
    judge_model = load_weights(judge_weights, judge_model, device, judge_run.run_id).eval()
    model = load_weights(weights, diffusion.build(run), device, run.run_id)
    index = np.arange(arguments.images)
    labels = generated_labels(arguments.images, run.classes)
    found = {}
    for way, mixture in _mixtures(run, train.y, arguments.strengths).items():
        drawing = model if mixture is None else guidance.mixed(model, mixture)
        each = 1 if mixture is None else run.classes
        images = diffusion.sample_in_parts(drawing, run, index, labels, device, each)
        logits = np.concatenate(list(in_batches(judge_model, images, device)))
        found[way] = 100 * float(np.mean(logits.argmax(1) == labels))
    return found


def _mixtures(run: Run, labels: np.ndarray, strengths: list[float]) -> dict:
    """Name of a way to draw images -> its mixture of the classes; None: none."""
    found = {PLAIN: None}
    found |= {f"guidance, w = {w:g}": guidance.guidance(run.classes, w) for w in strengths}
    shares = np.bincount(labels, minlength=run.classes) / len(labels)
    origins = corruption(run).origins(shares) if run.error_rate else None
    if origins is not None and (mixture := guidance.without_noise(origins)) is not None:
        found[KNOWN] = mixture
    return found


def _rows(run: Run, ways: dict[str, float], judged: dict[str, dict[str, float]]) -> list[dict]:
    """A row per way, with the floor of images that are drawn as they are: the consistency of a
    perfect model of the noisy labels, from that of the clean run."""
    clean = judged[run.parents[CLEAN]][PLAIN] / 100
    agreement = corruption(run).observed_agreement(clean) if run.error_rate else clean
    floor = None if agreement is None else 100 * agreement
    keys = {key: run.get(key) for key in KEYS}
    return [keys | {"way": way, "consistency": c, "floor": floor} for way, c in ways.items()]


if __name__ == "__main__":
    run_script(main)
