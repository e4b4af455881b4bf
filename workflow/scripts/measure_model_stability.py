"""How much of what trained models say survives noise in their inputs, on which tokens it hangs, and
what wrong targets cost the same models."""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from noiselab import streams
from noiselab.answers import collected
from noiselab.errors import run_script
from noiselab.families.descriptor import TOKEN_NOISE
from noiselab.families.noisy_outputs import Measured, measured
from noiselab.files import whole_file
from noiselab.measures.stability.estimates import influences, surviving_share
from noiselab.run import Run
from noiselab.training import distributed
from noiselab.training.input_noise import Tokens

KEYS = ["run_id", "family", "dataset", "stands_in_for", "corruption", "budget", "protocol"]
KEYS += ["noise_ratio", "error_rate", "seed", "tier"]
TOGETHER = 250  # inputs at a time
SCORES = {"consistency": -1, "accuracy": -1, "nll": 1}  # score of a family -> sign of what is worse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json files")
    parser.add_argument("--weights", type=Path, nargs="+", required=True, help="one per run")
    parser.add_argument("--files", type=Path, nargs="+", required=True, help="metrics.json of each")
    parser.add_argument("--correlations", type=float, nargs="+", required=True)
    parser.add_argument("--inputs", type=int, required=True, help="test inputs, at most")
    parser.add_argument("--out", type=Path, required=True, help="csv")
    arguments = parser.parse_args()
    rows: list[dict] = []
    with distributed.process_group() as device, torch.no_grad():
        for run_file, weights, scores in zip(
            arguments.runs, arguments.weights, arguments.files, strict=True
        ):
            run = Run.read(run_file)
            found = measured(run, weights, arguments.inputs, device)
            cost = above_floor(collected.content(scores)["metrics"])
            rows += [row | cost for row in _rows(run, found, arguments.correlations)]
    with whole_file(arguments.out) as path:
        pd.DataFrame(rows).to_csv(path, index=False)


def _rows(run: Run, model: Measured, correlations: list[float]) -> Iterator[dict]:
    """A row per correlation of inputs and noisy inputs. Tokens are kept with that probability, and
    else drawn anew, which is their correlation."""
    usual = outputs(model, model.inputs)
    junta = dict.fromkeys(("positions", "first_share", "half_positions"))  # none of an image
    if isinstance(model.noise, Tokens):
        shares = influence_shares(model)
        junta = {"positions": len(shares), "first_share": shares[0], "half_positions": half(shares)}
    for rho in correlations:
        settings = {"rho": rho, "keep": rho}
        noisy = model.noise.noisy(model.inputs, settings, _draw(len(model.inputs), rho))
        share = surviving_share(usual, outputs(model, noisy))
        estimate = {"share": share.value, "ci_low": share.ci_low, "ci_high": share.ci_high}
        yield (
            {k: run[k] for k in KEYS}
            | {"recipe": recipe(run), "rho": rho, "inputs": len(usual)}
            | estimate
            | junta
        )


def recipe(run: Run) -> str:
    """What is special about a run's training, in words: noise in its inputs, smoothed labels."""
    parts = []
    for name in (*TOKEN_NOISE, "label_smoothing"):
        value = run.get(name)
        if isinstance(value, dict):
            value = ", ".join(f"{key} {number:g}" for key, number in value.items())
        parts += [f"{name.replace('_', ' ')} ({value})"] if value else []
    return ", ".join(parts)


def above_floor(metrics: dict) -> dict:
    """What a model loses above the noise floor by its first score of `SCORES`, more being worse."""
    name = next(name for name in SCORES if name in metrics)
    score, sign = metrics[name], SCORES[name]
    known = score["value"] is not None and score["floor"] is not None
    unit = "points" if score["unit"] == "%" else score["unit"]
    excess = sign * (score["value"] - score["floor"]) if known else None
    return {"metric": name, "unit": unit, "excess": excess}


def outputs(model: Measured, inputs: torch.Tensor) -> torch.Tensor:
    """What a model says of inputs, float [n, C]."""
    return torch.cat([model.outputs(part) for part in inputs.split(TOGETHER)])


def influence_shares(model: Measured) -> np.ndarray:
    """Share of each position in all influence, the greatest first, float [positions]."""
    noise = model.noise

    def function(tokens: torch.Tensor) -> torch.Tensor:
        return outputs(model, noise.with_first(model.inputs, tokens))

    generator = torch.Generator().manual_seed(0)
    each = influences(function, noise.first(model.inputs), noise.letters, generator).mean(0)
    found = np.sort(each)[::-1]
    return found / found.sum() if found.sum() else np.full(len(found), 1 / len(found))


def half(shares: np.ndarray) -> int:
    """How many positions, the most influential ones, have half of all influence."""
    return int(np.searchsorted(np.cumsum(shares), 0.5 - 1e-12) + 1)


def _draw(count: int, rho: float) -> Callable[[int], np.ndarray]:
    """Uniform numbers of a stream of the correlation, the same for all models."""

    def draw(size: int) -> np.ndarray:
        u = streams.uniform(0, f"stability-{rho:g}", 0, count * size)
        return u.reshape(count, size)

    return draw


if __name__ == "__main__":
    run_script(main)
