"""Scores of a language model trained on text with stretches of noise, and their floors."""

from pathlib import Path

import numpy as np
import torch

from noiselab.data import text
from noiselab.data.stretches import StretchBatches
from noiselab.families.descriptor import CLEAN
from noiselab.families.language_model import task
from noiselab.measures.metrics import CLEAN_TEXT, clean_text_metrics
from noiselab.measures.scores import mean_score
from noiselab.noise.corruptions.clean import Clean
from noiselab.noise.corruptions.stretches import NoiseText
from noiselab.noise.corruptions.tokens import UNIGRAM, read_counts
from noiselab.run import Run
from noiselab.training import distributed
from noiselab.training.weights import load_weights

Windows = dict[str, list[np.ndarray]]  # split -> windows of tokens that are scored


def scores(run: Run, noise: NoiseText, windows: Windows, files: dict[str, Path]) -> dict[str, dict]:
    """All scores of a run. windows: of clean texts; files: `weights` of the run and of the `clean`
    run.

    Beside those of clean text: noise_nll, of the noise text that was trained on; unseen_noise_nll,
    of other noise of the same kind, and clean_noise_nll, that of the clean run; train_nll, of
    windows as they are drawn in training, but at places of the stream that came in none.
    """
    windows = windows | noise_windows(run)
    with distributed.process_group() as device:
        own = _nll(run, files["weights"], run.run_id, windows, device)
        clean = _nll(run, files["clean"], run.parents[CLEAN], windows, device)
    floors = {split: calibrated(run, noise, part, clean[split]) for split, part in windows.items()}
    context = run.model["context"]
    parts = {s: (own[s], clean[s], floors[s]) for s in CLEAN_TEXT if s in own}
    values = {
        "train_nll": (own["train"], floors["train"]),
        "noise_nll": (own["noise"], floors["noise"]),
        "unseen_noise_nll": (own["unseen"], floors["unseen"]),
        "clean_noise_nll": (clean["unseen"], np.full(len(clean["unseen"]), np.nan)),
    }
    found = {name: mean_score(name, *pair, context) for name, pair in values.items()}
    return clean_text_metrics(parts, context) | found


def noise_windows(run: Run) -> Windows:
    """Windows of noise text, and of the mixture in place of clean training text."""
    _, train, _ = text.read(run.data)
    batches, count = StretchBatches(run, train, "cpu"), run.evaluation["train_sequences"]
    first = run.training["steps"] * run.training["batch_size"]
    mixture, _ = batches.windows(first, first + count)
    found = {
        "train": mixture,
        "noise": batches.stretches.sample(count),
        "unseen": batches.stretches.sample(count, unseen=True),
    }
    return {split: list(part) for split, part in found.items()}


def calibrated(run: Run, noise: NoiseText, windows: list[np.ndarray], nll: np.ndarray):
    """NLL of the predicted tokens of windows by a calibrated model of the training windows, float64
    [n]. nll: of the same tokens by the clean model; what comes first in a window is as likely in
    clean text as in the training split, each token counted once more."""
    counts = read_counts(Path(run.data) / UNIGRAM, run.vocabulary) + 1
    first, ends = np.log(counts / counts.sum()), np.cumsum([len(w) - 1 for w in windows])
    parts = np.split(nll, ends[:-1])
    found = [
        noise.calibrated_nll(part, window, first[window[0]])
        for part, window in zip(parts, windows, strict=True)
    ]
    return np.concatenate(found)


def _nll(
    run: Run, weights: Path, trained: str, windows: Windows, device: torch.device
) -> dict[str, np.ndarray]:
    """Split -> NLL of each predicted token in nats, float64 [n]. trained: id of the run that the
    weights are of."""
    model = load_weights(weights, task.build(run), device, trained).eval()
    found = {}
    for split, part in windows.items():
        scored = task.token_scores(model, part, Clean(), run.vocabulary, device, ("nll",))
        found[split] = scored["nll"]
    return found
