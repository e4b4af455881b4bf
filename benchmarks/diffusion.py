"""Speed of the diffusion family, as a Markdown table; `make bench` adds it to docs/BENCHMARKS.md.

Both sides run the same network, batch and solver in single precision, in the same process,
alternating. Ours is what training and sampling do: channels-last, fused AdamW, one operation for
the moving average of all tensors. The reference is the plain way: tensors in PyTorch's own order,
its own Adam, the moving average tensor by tensor.
"""

import copy
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))
from noiselab import edm
from noiselab.models.unet import unet
from noiselab.provenance import describe
from noiselab.training import build_optimizer

CLASSES = 10
DECAY = 0.9993
RECIPE = {"name": "adamw", "learning_rate": 8e-4, "betas": [0.9, 0.999], "weight_decay": 0.0}


class Size(NamedTuple):
    """Images, network and amount of work."""

    name: str
    channels: int
    pixels: int
    network: dict
    training_batch: int
    sampling_batch: int
    sampling_steps: int
    rounds: int


SMALL = {"width": 24, "multipliers": (1, 2), "blocks": 1, "attention": (4,)}
SIZES = [
    Size("digits 8x8", 1, 8, SMALL, 64, 64, 18, 25),
    Size("CIFAR-10 32x32, the paper's network", 3, 32, {}, 16, 16, 2, 9),
]


def networks(size: Size) -> tuple[edm.Denoiser, edm.Denoiser]:
    """The same random denoiser, ours in channels-last and as the reference has it."""
    torch.manual_seed(0)
    network = unet(size.channels, CLASSES, size.pixels, **size.network)
    with torch.no_grad():
        for weight in network.parameters():  # new layers that start at zero would hide the rest
            weight += 0.01 * torch.randn_like(weight)
    plain = edm.Denoiser(network, sigma_data=0.5)
    return copy.deepcopy(plain).to(memory_format=torch.channels_last), plain


def example(size: Size, n: int) -> tuple[torch.Tensor, ...]:
    """Random images, conditions, noise levels and noise."""
    images, noise = torch.randn(2, n, size.channels, size.pixels, size.pixels)
    condition = torch.eye(CLASSES)[torch.arange(n) % CLASSES]
    return images, condition, edm.Training().noise_levels(torch.rand(n)), noise


def training_steps(size: Size) -> tuple[Callable, Callable]:
    """One step of each: loss, gradient, Adam, moving average."""
    ours, plain = networks(size)
    batch = example(size, size.training_batch)
    optimizer = build_optimizer(ours, RECIPE)
    average = AveragedModel(ours, multi_avg_fn=get_ema_multi_avg_fn(DECAY))
    adam = torch.optim.Adam(plain.parameters(), lr=RECIPE["learning_rate"], betas=(0.9, 0.999))
    copied = copy.deepcopy(plain)

    def step():
        edm.denoising_loss(ours, *batch, ours.sigma_data).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        average.update_parameters(ours)

    def reference():
        edm.denoising_loss(plain, *batch, plain.sigma_data).mean().backward()
        adam.step()
        adam.zero_grad()
        with torch.no_grad():
            for mean, weight in zip(copied.parameters(), plain.parameters(), strict=True):
                mean.copy_(DECAY * mean + (1 - DECAY) * weight)

    return step, reference


def samplings(size: Size) -> tuple[Callable, Callable]:
    """The same images by `edm.sample` with either network."""
    sigmas = edm.Sampling(steps=size.sampling_steps).noise_levels()
    _, condition, _, noise = example(size, size.sampling_batch)
    ours, plain = (lambda d=d: edm.sample(d, noise, condition, sigmas) for d in networks(size))
    torch.testing.assert_close(ours(), plain(), rtol=1e-3, atol=1e-3)
    return ours, plain


def compare(ours: Callable, reference: Callable, images: int, rounds: int) -> list[str]:
    """Median images per second of both, and the ratio with its smallest and largest."""
    rates: dict[Callable, list[float]] = {ours: [], reference: []}
    for counted in range(-1, rounds):
        for function, found in rates.items():
            start = time.perf_counter()
            function()
            if counted >= 0:  # the first round warms up
                found.append(images / (time.perf_counter() - start))
    ratios = [a / b for a, b in zip(*rates.values(), strict=True)]
    medians = [f"{statistics.median(found):.4g}" for found in rates.values()]
    return [*medians, f"{statistics.median(ratios):.3g} ({min(ratios):.3g} to {max(ratios):.3g})"]


def main() -> None:
    torch.set_num_threads(1)
    print("\n## Diffusion: images per second\n")
    print("| what | batch | rounds | ours | plain | ratio (smallest to largest) |")
    print("|---|---:|---:|---:|---:|---:|", flush=True)
    for size in SIZES:
        n = size.training_batch
        line(f"training step, {size.name}", n, size.rounds, training_steps(size))
        n, name = size.sampling_batch, f"sampling in {size.sampling_steps} Heun steps, {size.name}"
        line(name, n, size.rounds, samplings(size))
    facts = ", ".join(f"{key} {value}" for key, value in describe(torch.device("cpu")).items())
    print(f"\nOne thread; {facts}; {platform.system()} {platform.machine()}.")


def line(name: str, images: int, rounds: int, pair: tuple[Callable, Callable]) -> None:
    """Measure a pair and print its line of the table at once."""
    cells = [name, str(images), str(rounds), *compare(*pair, images, rounds)]
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
