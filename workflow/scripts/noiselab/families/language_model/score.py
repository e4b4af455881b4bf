"""Scores of a language model on clean and on noisy text, with the floors from the clean run."""

from math import inf
from pathlib import Path

import numpy as np
import torch

from noiselab import reading
from noiselab.data import text
from noiselab.data.kinds import DOMAINS
from noiselab.families.descriptor import CLEAN
from noiselab.families.language_model import stretches, task
from noiselab.measures.count_models import count_nll, windows_pairs
from noiselab.measures.metrics import language_model_metrics
from noiselab.measures.scores import first_step, mean_score
from noiselab.noise.base import Corruption
from noiselab.noise.corruptions.stretches import NoiseText
from noiselab.noise.registry import corruption
from noiselab.run import Run
from noiselab.training import distributed
from noiselab.training.weights import load_weights


def scores(run: Run, files: dict[str, Path]) -> dict[str, dict]:
    """All scores of a run. files: `weights` of the run and of the `clean` run, and, where the data
    set has such texts, `out_of_domain` and `second_domain` (npy); `history` where it has a goal."""
    outside = {domain: files[domain] for domain in DOMAINS if domain in files}
    noise, windows = corruption(run), split_windows(run, outside)
    if isinstance(noise, NoiseText):
        return stretches.scores(run, noise, windows, files)
    with distributed.process_group() as device:
        model = load_weights(files["weights"], task.build(run), device, run.run_id).eval()
        own = _token_scores(model, run, windows, noise, device)
        model = load_weights(files["clean"], task.build(run), device, run.parents[CLEAN]).eval()
        clean = _token_scores(model, run, windows, noise, device, clean=True)
    metrics = language_model_metrics(own, clean, noise, run.model["context"])
    if "history" in files:
        metrics["steps_to_goal"] = steps_to_goal(run, reading.rows(files["history"]))
    return metrics | (count_scores(run, windows["validation"]) if noise.name == "none" else {})


def steps_to_goal(run: Run, history: list[dict]) -> dict:
    """Steps at the first evaluation with a validation NLL of `goal_nll` or less."""
    goal, limit = run["goal_nll"], run.training["steps"]

    def reached(row: dict) -> bool:
        return row.get("validation_nll", inf) <= goal

    return first_step("steps_to_goal", history, reached, limit)


def count_scores(run: Run, windows: list[np.ndarray]) -> dict[str, dict]:
    """NLL of unigram and bigram counts of the training text on the same tokens. windows: int
    [length] each; the first token of each is predicted by nobody."""
    _, train, _ = text.read(run.data)
    nll = count_nll(train, windows_pairs(windows), run.vocabulary)
    unknown, context = np.full(len(nll.bigram), np.nan), run.model["context"]
    found = {"unigram_nll": nll.unigram, "bigram_nll": nll.bigram}
    return {name: mean_score(name, values, unknown, context) for name, values in found.items()}


def split_windows(run: Run, outside: dict[str, Path]) -> dict[str, list[np.ndarray]]:
    """Split -> windows of tokens that are scored. outside: domain -> file of its tokens."""
    _, train, validation = text.read(run.data)
    evaluation, context = run.evaluation, run.model["context"]
    crops, sequences = evaluation["crops"], evaluation["train_sequences"]
    windows = {
        "validation": task.random_windows(run, validation, "crops", crops)
        if crops
        else list(task.validation_windows(validation, context)),
        "train": task.random_windows(run, train, "train-evaluation", sequences),
    }
    for domain, file in outside.items():
        windows[domain] = list(task.validation_windows(text.mapped(file), context))
    return windows


def _token_scores(
    model: torch.nn.Module,
    run: Run,
    windows: dict[str, list[np.ndarray]],
    noise: Corruption,
    device: torch.device,
    clean: bool = False,
) -> dict[str, dict]:
    """Split -> scores of each token, of the model or, of the clean run's, as floors need them."""
    prefix, of_clean_text = ("floor_", ("floor_nll",)) if clean else ("", ("denoised_nll",))
    if not clean and noise.why_not_denoised:
        of_clean_text = ()
    names = dict.fromkeys(windows, ("nll", *of_clean_text))
    names["train"] = (f"{prefix}nll", f"{prefix}mean_nll")
    return {
        split: task.token_scores(model, part, noise, run.vocabulary, device, names[split])
        for split, part in windows.items()
    }
