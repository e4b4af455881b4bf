"""The noisy teacher's targets: greedy outputs for all training sources (Appendix K.3)."""

from pathlib import Path

import numpy as np
import torch

from noiselab.data.pair_batches import source_rows
from noiselab.data.pairs import Pairs
from noiselab.families.seq2seq.task import decode
from noiselab.run import Run
from noiselab.training.shards import identity, in_shards

SHARD = 2048  # sequences; what a stopped decoding loses at most


def decode_all(
    model, run: Run, weights: Path, train: Pairs, folder: Path, device: torch.device
) -> tuple[list[np.ndarray], np.ndarray]:
    """Targets for all training sources, uint16 arrays, and which ended by the end symbol, bool [N].

    Sources go by length, shard by shard; `folder` keeps the finished ones if this is stopped.
    """
    sources = source_rows(run, train.source)
    order = np.argsort(sources.lengths, kind="stable")
    shards = [order[i : i + SHARD] for i in range(0, len(order), SHARD)]

    def make(number: int) -> dict[str, np.ndarray]:
        targets, ended = decode(model, sources, shards[number], run.target_length, device)
        lengths = np.array(list(map(len, targets)))
        return {"tokens": np.concatenate(targets), "lengths": lengths, "ended": ended}

    targets: list = [None] * len(order)
    ended = np.zeros(len(order), dtype=bool)
    parts = in_shards(folder / identity(run, weights, SHARD), len(shards), make)
    for index, part in zip(shards, parts, strict=True):
        ended[index] = part["ended"]
        written = np.split(part["tokens"], np.cumsum(part["lengths"])[:-1])
        for i, tokens in zip(index, written, strict=True):
            targets[i] = tokens
    return targets, ended


def length_statistics(lengths: np.ndarray) -> dict[str, float]:
    """Mean and quantiles of lengths in tokens, int [N]."""
    quantiles = {f"q{q}": float(np.quantile(lengths, q / 100)) for q in (5, 25, 50, 75, 95, 100)}
    return {"mean": float(lengths.mean()), **quantiles}
