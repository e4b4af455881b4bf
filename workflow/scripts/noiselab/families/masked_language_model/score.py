"""Scores of a masked language model on clean text and on noise, with the bound of its floor."""

from pathlib import Path

import numpy as np
import torch

from noiselab.data import text
from noiselab.data.kinds import DOMAINS
from noiselab.data.masked import MASKED, REPLACED, Masked, evaluation_masks, predicted
from noiselab.data.stretches import NoiseWindows
from noiselab.families.descriptor import CLEAN
from noiselab.families.masked_language_model import task
from noiselab.measures.count_models import count_nll
from noiselab.measures.metrics import CLEAN_TEXT, clean_text_metrics
from noiselab.measures.scores import mean_score
from noiselab.noise.corruptions.stretches import NoiseText
from noiselab.noise.corruptions.tokens import UNIGRAM, read_counts
from noiselab.noise.mixture import masked_bound
from noiselab.noise.registry import corruption
from noiselab.run import Run
from noiselab.training import distributed
from noiselab.training.weights import load_weights

Splits = dict[str, np.ndarray]  # split -> windows of tokens, int64 [n, context]


def scores(run: Run, files: dict[str, Path]) -> dict[str, dict]:
    """All scores of a run, each of one masking of its windows. files: `weights` of the run and of
    the `clean` run, and, where the data set has such texts, `out_of_domain` and `second_domain`.

    Floors on clean text are the most that a calibrated model could lose (`bounds`); those on noise
    are the least that any could reach, from the probabilities that it was drawn with. noise_nll: of
    the noise text that was trained on; unseen_noise_nll: of other noise of the same kind;
    clean_noise_nll: that of the clean run.
    """
    noise, windows = corruption(run), clean_windows(run, files)
    if isinstance(noise, NoiseText):
        windows |= noise_windows(run)
    masks = {split: evaluation_masks(run, split, part) for split, part in windows.items()}
    with distributed.process_group() as device:
        own = _nll(run, files["weights"], run.run_id, masks, device)
        clean = _nll(run, files["clean"], run.parents[CLEAN], masks, device)
    if not isinstance(noise, NoiseText):
        parts = {s: (own[s], clean[s], clean[s]) for s in masks}
        return _metrics(run, parts) | count_scores(run, windows["validation"], masks["validation"])
    floors = bounds(run, noise, masks)
    parts = {s: (own[s], clean[s], clean[s] + floors[s][:, None]) for s in floors}
    true = {s: noise_floor(noise, masks[s]) for s in ("noise", "unseen")}
    values = {
        "noise_nll": (own["noise"], true["noise"]),
        "unseen_noise_nll": (own["unseen"], true["unseen"]),
        "clean_noise_nll": (clean["unseen"], np.full(clean["unseen"].shape, np.nan)),
    }
    count = masks["noise"].places.shape[1]
    found = {n: mean_score(n, *(v.ravel() for v in pair), count) for n, pair in values.items()}
    return _metrics(run, parts) | found


def _metrics(run: Run, parts: dict[str, tuple]) -> dict[str, dict]:
    flat = {s: tuple(values.ravel() for values in part) for s, part in parts.items()}
    return clean_text_metrics(flat, predicted(run.model["context"], run.mask_share))


def clean_windows(run: Run, files: dict[str, Path]) -> Splits:
    """Windows of the validation split and of texts out of the domain."""
    _, _, validation = text.read(run.data)
    outside = {domain: text.mapped(files[domain]) for domain in DOMAINS if domain in files}
    texts = {"validation": validation} | outside
    return {split: task.whole_windows(run, split, tokens) for split, tokens in texts.items()}


def noise_windows(run: Run) -> Splits:
    """Windows of the noise text that is trained on, and of other noise."""
    _, train, _ = text.read(run.data)
    windows, count = NoiseWindows(run, len(train)), run.evaluation["noise_sequences"]
    found = {"noise": windows.sample(count), "unseen": windows.sample(count, unseen=True)}
    return {split: part[:, 1:] for split, part in found.items()}


def noise_floor(noise: NoiseText, masks: Masked) -> np.ndarray:
    """NLL of the predicted tokens of noise by the best model that knows it is noise, float64 [n,
    m]: a token that is shown may be the true one, or one drawn in its place."""
    p, vocabulary = noise.probabilities, noise.vocabulary
    shown = np.take_along_axis(masks.inputs, masks.places, axis=1)
    hidden, drawn = shown == vocabulary, REPLACED / vocabulary
    kept = 1 - MASKED - REPLACED
    seen = kept * p[np.where(hidden, 0, shown)] + drawn
    likely = p[masks.tokens] * (kept * (shown == masks.tokens) + drawn) / seen
    return -np.log(np.where(hidden, p[masks.tokens], likely))


def bounds(run: Run, noise: NoiseText, masks: dict[str, Masked]) -> dict[str, np.ndarray]:
    """Split of clean text -> what a predicted token of each window costs a calibrated model of the
    mixture at the most, nats, float64 [n]. By the frequencies of the tokens that it reads."""
    seen = {split: evidence(run, noise, part.inputs) for split, part in masks.items()}
    samples = seen["validation"], seen["unseen"], noise.rate
    return {split: masked_bound(seen[split], *samples) for split in CLEAN_TEXT if split in seen}


def evidence(run: Run, noise: NoiseText, inputs: np.ndarray) -> np.ndarray:
    """How much likelier the tokens that are read are in clean text than in noise, by the frequency
    of each alone, in nats, float64 [n]. inputs: int64 [n, L]; masks say nothing, and a few tokens
    are drawn at random in both."""
    counts = read_counts(Path(run.data) / UNIGRAM, run.vocabulary) + 1
    random = REPLACED * run.mask_share / (1 - MASKED * run.mask_share)
    clean, noisy = (
        np.log((1 - random) * p + random / run.vocabulary)
        for p in (counts / counts.sum(), noise.probabilities)
    )
    return np.append(clean - noisy, 0.0)[inputs].sum(axis=1)


def count_scores(run: Run, windows: np.ndarray, masks: Masked) -> dict[str, dict]:
    """NLL of unigram and bigram counts of the training text on the same tokens, given the true one
    before each; the first of a window is predicted from the last of the window before it."""
    _, train, _ = text.read(run.data)
    whole = windows.ravel()
    places = np.arange(len(windows))[:, None] * windows.shape[1] + masks.places
    pairs = np.stack([whole[places.ravel() - 1], whole[places.ravel()]], axis=1)
    nll = count_nll(train, pairs, run.vocabulary)
    unknown, count = np.full(len(nll.bigram), np.nan), masks.places.shape[1]
    found = {"unigram_nll": nll.unigram, "bigram_nll": nll.bigram}
    return {name: mean_score(name, values, unknown, count) for name, values in found.items()}


def _nll(
    run: Run, weights: Path, trained: str, masks: dict[str, Masked], device: torch.device
) -> Splits:
    """Split -> NLL of each predicted token in nats, float64 [n, m]. trained: id of the run that the
    weights are of."""
    model = load_weights(weights, task.build(run), device, trained).eval()
    return {split: task.masked_nll(model, part, device) for split, part in masks.items()}
