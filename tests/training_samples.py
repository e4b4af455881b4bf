"""A small training, and what it leaves, for the tests."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import nn

from noiselab.training import loop as training
from noiselab.training.loop import Batch, Settings

STEPS = 30
RNG = np.random.default_rng(3)
INPUTS = torch.from_numpy(RNG.normal(size=(STEPS * 16, 6)).astype(np.float32))
TARGETS = torch.from_numpy(RNG.integers(0, 3, STEPS * 16))


def settings(**changes) -> Settings:
    values = {
        "steps": STEPS,
        "batch_size": 16,
        "micro_batch_size": None,
        "optimizer": {
            "name": "sgd",
            "learning_rate": 0.1,
            "momentum": 0.9,
            "weight_decay": 1e-3,
        },
        "schedule": "cosine",
        "schedule_steps": STEPS,
        "warmup_steps": 0,
        "final_learning_rate": 0.0,
        "clip_norm": 1.0,
        "ema_decay": 0.9,
        "precision": "fp32",
        "compile": False,
        "evaluate_every": 10,
        "checkpoint_minutes": 1000,
    }
    return Settings(**values | changes)


def network(dropout=0.2):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 3)
    )


def plain_batch(start, stop):
    return Batch(INPUTS[start:stop], TARGETS[start:stop], TARGETS[start:stop] == 0)


def loss(model, batch):
    return nn.functional.cross_entropy(model(batch.inputs), batch.targets)


def first_weight(model):
    return {"first_weight": model(INPUTS[:4]).sum().item()}


def run(
    folder: Path,
    batch=plain_batch,
    model=None,
    digest="a run",
    evaluate=first_weight,
    **changes,
):
    return training.train(
        model or network(),
        batch,
        loss,
        settings(**changes),
        seed=5,
        run_digest=digest,
        folder=folder,
        device=torch.device("cpu"),
        evaluate=evaluate,
    )


def history(folder):
    rows = [json.loads(r) for r in (folder / "history.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "examples_per_second"} for row in rows]


def assert_same(first, second):
    (model, summary), (other, other_summary) = first, second
    for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    for key in ("steps", "targets", "measured_error_rate"):
        assert summary[key] == other_summary[key]
