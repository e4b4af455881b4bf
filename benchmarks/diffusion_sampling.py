"""Images by Heun's method: ours, each from noise of its own, channels last, against the same
network in PyTorch's memory order in a plain loop."""

import copy
from functools import partial

import numpy as np
import torch

from cases import case, shake
from comparing import Bench, benchmark
from noiselab import streams
from noiselab.families.diffusion import task as diffusion


@benchmark("diffusion sampling", "sampling")
def sampling(bench: Bench) -> None:
    for tier, count, steps, network in (
        ("quick", 64, 18, "digits 8x8"),
        ("paper", 16, 2, "CIFAR-10 32x32, the paper's network"),
    ):
        run, task = case(bench, "diffusion", tier)
        run["evaluation"]["sampling_steps"] = steps
        model = shake(task.model).eval()
        plain = copy.deepcopy(model).to(memory_format=torch.contiguous_format)
        index = np.arange(count)
        labels = index % run["classes"]
        bench.compare(
            f"{count} images in {steps} Heun steps, {network}",
            "plain loop, default memory order",
            partial(diffusion.sample, model, run, index, labels, bench.device),
            partial(heun, plain, run, labels, steps, bench.device),
            check=same_pixels,
            amount=count,
            unit="images",
            reason="Both evaluate the same network equally often, which is nearly all of the time; "
            "of images so small another order in memory gains nothing.",
        )


@torch.no_grad()
def heun(model, run: dict, labels: np.ndarray, steps: int, device: torch.device) -> np.ndarray:
    """Algorithm 1 of Karras et al. 2022, with our noise."""
    size = run["channels"], run["size"], run["size"]
    seeds = [streams.integer(run["seed"], "sampling", i) for i in range(len(labels))]
    noise = [torch.randn(size, generator=torch.Generator().manual_seed(s)) for s in seeds]
    share = torch.linspace(0, 1, steps, dtype=torch.float64)
    sigmas = (80 ** (1 / 7) + share * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
    condition = torch.eye(run["classes"], device=device)[torch.from_numpy(labels).to(device)]
    x = torch.stack(noise).double().to(device) * 80

    def slope(x, s):
        return (x - model(x, torch.full((len(x),), s, device=device), condition)) / s

    for now, then in zip(sigmas.tolist(), [*sigmas.tolist()[1:], 0.0], strict=True):
        first = slope(x, now)
        ahead = x + (then - now) * first
        x = x + (then - now) * (first + slope(ahead, then)) / 2 if then else ahead
    return ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def same_pixels(ours: np.ndarray, theirs: np.ndarray) -> None:
    """But for rounding, which a network with random weights can make visible in a few pixels."""
    apart = np.abs(ours.astype(int) - theirs.astype(int))
    assert np.mean(apart > 1) < 0.01, f"{np.mean(apart > 1):.3f} of the pixels differ"
