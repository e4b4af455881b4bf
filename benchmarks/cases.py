"""Runs of each family with random data, as `train.py` would find them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from comparing import CPU, Bench
from noiselab.data import pairs, prepared, text
from noiselab.families.algorithmic import task as algorithmic
from noiselab.families.classifier import task as classifier
from noiselab.families.diffusion import task as diffusion
from noiselab.families.language_model import task as language_model
from noiselab.families.seq2seq import task as seq2seq
from noiselab.families.vision_transformer import task as vit
from noiselab.files import write_json
from noiselab.planning import config, runs
from noiselab.training.loop import Task

FAMILIES = {
    "classifier": (classifier, "table2"),
    "vision_transformer": (vit, "table3"),
    "diffusion": (diffusion, "table1"),
    "language_model": (language_model, "table7"),
    "seq2seq": (seq2seq, "table9"),
    "algorithmic": (algorithmic, "addition"),
}
# Translation as in the paper, with a network for a CPU.
SEQ2SEQ = {"model": {"layers": 2, "heads": 4, "width": 192, "feedforward": 768, "dropout": 0.1}}
OVERLAYS = {
    "seq2seq": {
        "datasets": {"wmt14": {"vocabulary": 8192}},
        "experiments": {"table9": {"datasets": ["wmt14"], "training": SEQ2SEQ}},
    },
    "algorithmic": {"studies": ["noise_stability"]},
}
NETWORKS = {
    "seq2seq": "2 + 2 layers, width 192, vocabulary 8192; sources and targets as long as WMT's "
    "(log-normal, median 25 tokens, at most 255)"
}
IMAGES, TOKENS, PAIRS = 2_000, 200_000, 20_000  # of training, at most


class Case(NamedTuple):
    """A run and what its family brings to the training loop."""

    run: dict
    task: Task


def case(bench: Bench, family: str, tier: str = "quick", training=(), experiment=None) -> Case:
    """The noisiest run of a family's main table, on its first data set, with random data.

    training: changes of the run's settings of the training; experiment: of the table's.
    """
    module, table = FAMILIES[family]
    own = {"experiments": {table: experiment}} if experiment else OVERLAYS.get(family, {})
    plan = runs.plan(config.load(own, tier=tier), str(bench.folder))
    planned = [plan.runs[run] for run in plan.experiments[table]]
    run = [r for r in planned if r["dataset"] == planned[0]["dataset"]][-1]
    run["training"].pop("snapshot_step", None)
    run |= {
        "training": run["training"] | {"evaluate_every": None, "compile": False} | dict(training)
    }
    write_data(run, plan.datasets[run["dataset"]])
    task = module.task(run, bench.device)
    task.model.to(bench.device)
    return Case(run, task)


def write_data(run: dict, spec: dict) -> None:
    """Random data of the run's shapes at the run's places, unless they are there."""
    folder, rng = Path(run["data"]), np.random.default_rng(0)
    if (folder / "dataset.json").exists():
        return
    folder.mkdir(parents=True)
    if run["family"] == "language_model":
        for split, count in zip(text.SPLITS, (TOKENS, TOKENS // 10), strict=True):
            np.save(folder / f"{split}.npy", rng.integers(0, run["vocabulary"], count, np.uint16))
        write_json(folder / "dataset.json", {})
    elif run["family"] == "seq2seq":
        sizes = dict(zip(text.SPLITS, (PAIRS, PAIRS // 20), strict=True))
        for split, count in sizes.items():
            for side in pairs.SIDES:
                sentences = like_wmt(rng, count, run["vocabulary"])
                pairs.write_sequences(folder / f"{split}_{side}", sentences)
        pairs.write_sequences(run["teacher_targets"], like_wmt(rng, PAIRS, run["vocabulary"]))
        write_json(folder / "dataset.json", {f"{s}_size": n for s, n in sizes.items()})
    else:
        sizes = {f"{s}_size": min(IMAGES, spec[f"{s}_size"]) for s in ("train", "test")}
        splits = [random_images(rng, n, spec) for n in sizes.values()]
        prepared.write(folder, spec | sizes, *splits, "random")


def random_images(rng: np.random.Generator, count: int, spec: dict) -> prepared.Split:
    """Random images of a data set's shape with balanced labels."""
    shape = (count, spec["channels"], spec["size"], spec["size"])
    labels = np.arange(count, dtype=np.int64) % spec["classes"]
    return prepared.Split(rng.integers(0, 256, shape, np.uint8), labels)


def like_wmt(rng: np.random.Generator, count: int, vocabulary: int) -> list[np.ndarray]:
    """Random sentences as long as WMT's: log-normal, median 25 tokens, at most 255."""
    lengths = np.clip(rng.lognormal(np.log(25), 0.6, count), 1, 255).astype(int)
    return [rng.integers(3, vocabulary, n, np.uint16) for n in lengths]


@torch.no_grad()
def shake(model: torch.nn.Module, scale: float = 0.01) -> torch.nn.Module:
    """The model with noise on its weights: layers that start at zero would hide all others."""
    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        if weight.requires_grad:  # sinusoids are not weights
            weight += scale * torch.randn(weight.shape, generator=generator).to(weight.device)
    return model


def close(ours, theirs, device: torch.device = CPU) -> None:
    """Both sides have the same numbers; a GPU's convolutions round more."""
    error = {"rtol": 1e-4, "atol": 1e-5} if device.type == "cpu" else {"rtol": 1e-2, "atol": 1e-3}
    np.testing.assert_allclose(np.asarray(ours), np.asarray(theirs), **error)
