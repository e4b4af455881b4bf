"""The diffusion family: EDM, or flow matching, on images with their class as condition."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from noiselab import streams
from noiselab.data import prepared
from noiselab.data.encoded_batches import training_batches
from noiselab.data.prepared import Split
from noiselab.families.work import Data
from noiselab.measures.generated import generated_labels
from noiselab.models import edm
from noiselab.models.flow_matching import FlowMatching
from noiselab.models.unet import unet
from noiselab.run import Run
from noiselab.training.loop import Batch, Task
from noiselab.training.shards import identity, in_shards

# Name in the configuration -> what the network is asked for, and how images are drawn with it.
PARAMETRISATIONS: dict[str, edm.Parametrisation] = {
    "edm": edm.EDM(),
    "flow_matching": FlowMatching(),
}
SHARD = 1000  # images; what a stopped sampling loses at most
TOGETHER = 250  # images sampled at once


def task(run: Run, device: torch.device) -> Task:
    """Everything that the training loop needs for one run."""
    _, train, test = prepared.read_run(run)
    loss = denoising_loss(run)
    glance = held_out_batch(run, test, run.evaluation["curve_images"], device)

    def test_loss(model: nn.Module) -> dict[str, float]:
        return {"test_loss": float(loss(model, glance))}

    return Task(
        model=build(run), batch=DiffusionBatches(run, train, device), loss=loss, evaluate=test_loss
    )


def build(run: Run) -> edm.Denoiser:
    """The denoiser with its initial weights, a function of the seed alone."""
    torch.manual_seed(streams.integer(run.seed, "weights", 0))
    settings = {k: v for k, v in run.model.items() if k != "name"}
    network = unet(run.channels, run.classes, run.size, **settings)
    return edm.Denoiser(network, parametrisation(run)).to(memory_format=torch.channels_last)


def parametrisation(run: Run) -> edm.Parametrisation:
    """That of the run's recipe; EDM's where it says nothing."""
    return PARAMETRISATIONS[run.get("parametrisation", "edm")]


def example(run: Run, data: Data) -> tuple[nn.Module, tuple, dict]:
    """The denoiser and the arguments of its forward pass for one image, without content."""
    images = torch.empty(1, run.channels, data.image, data.image)
    return build(run), (images, torch.empty(1), torch.empty(1, run.classes)), {}


# ------------------------------------------------------------------------------- training


class DiffusionInputs(NamedTuple):
    """What the loss takes; the labels, corrupted or not, are the condition."""

    images: Tensor  # float [n, c, h, w], -1 to 1
    condition: Tensor  # one-hot float [n, C]
    sigma: Tensor  # noise level, float [n]
    noise: Tensor  # standard normal [n, c, h, w]


class DiffusionBatches:
    """The endless stream of a diffusion model's training examples.

    Images and labels are those of a classifier of the same seed; noise levels and noise are drawn
    on the device for a whole batch at a time, as a function of seed and step, and each process
    takes its rows.
    """

    def __init__(self, run: Run, train: Split, device: torch.device):
        self.run, self.device = run, device
        self.examples = training_batches(run, train, device)
        self.shape = (run.training["batch_size"], *train.x.shape[1:])
        self._drawn = lru_cache(maxsize=1)(self._draw)

    def __call__(self, start: int, stop: int) -> Batch:
        """Examples at positions start … stop - 1, all of one batch; inputs are DiffusionInputs."""
        step, first = divmod(start, self.shape[0])
        sigma, noise = (drawn[first : first + stop - start] for drawn in self._drawn(step))
        images, labels, corrupted = self.examples(start, stop)
        inputs = DiffusionInputs(scaled(images), condition(labels, self.run), sigma, noise)
        return Batch(inputs, labels, corrupted)

    def _draw(self, step: int) -> tuple[Tensor, Tensor]:
        seed = streams.integer(self.run.seed, "diffusion", step)
        return draw(self.run, self.shape, seed, self.device)


def draw(
    run: Run, shape: tuple[int, ...], seed: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Noise levels of training, float [n], and standard normal noise [n, c, h, w]."""
    generator = torch.Generator(device).manual_seed(seed)
    u = torch.rand(shape[0], generator=generator, device=device)
    noise = torch.randn(shape, generator=generator, device=device)
    return parametrisation(run).noise_levels(u), noise


def denoising_loss(run: Run) -> Callable[[nn.Module, Batch], Tensor]:
    """The weighted loss of EDM's Eq. 8, mean over pixels and images."""
    weight = parametrisation(run).loss_weight

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        images, conditions, sigma, noise = batch.inputs
        return edm.denoising_loss(model, images, conditions, sigma, noise, weight).mean()

    return loss


def held_out_batch(run: Run, test: Split, count: int, device: torch.device) -> Batch:
    """A fixed batch of test images with their clean labels, for the learning curve."""
    images = torch.from_numpy(np.array(test.x[:count])).to(device)
    labels = torch.from_numpy(np.array(test.y[:count])).to(device)
    drawn = draw(run, images.shape, streams.integer(0, "diffusion-test", 0), device)
    inputs = DiffusionInputs(scaled(images), condition(labels, run), *drawn)
    return Batch(inputs, labels, torch.zeros(len(labels), dtype=torch.bool, device=device))


def scaled(images: Tensor) -> Tensor:
    """uint8 pixels as floats from -1 to 1."""
    return images.float() / 127.5 - 1


def pixels(images: Tensor) -> np.ndarray:
    """Images from -1 to 1 as uint8."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy()


def condition(labels: Tensor, run: Run) -> Tensor:
    """One-hot float [n, C]."""
    return one_hot(labels, run.classes).float()


# ------------------------------------------------------------------------------- sampling


def sample_all(
    model: edm.Denoiser, run: Run, weights: Path, folder: Path, device: torch.device
) -> Iterator[np.ndarray]:
    """Generated images as uint8 [at most 1000, c, h, w] at a time; `folder` keeps the finished
    ones if this is stopped. Image i is the same whatever the batch or the number of processes."""
    labels = generated_labels(run.evaluation["images"], run.classes)
    shards = [np.arange(i, min(i + SHARD, len(labels))) for i in range(0, len(labels), SHARD)]

    def make(number: int) -> dict[str, np.ndarray]:
        index = shards[number]
        return {"images": sample_in_parts(model, run, index, labels[index], device)}

    parts = in_shards(folder / identity(run, weights, SHARD), len(shards), make)
    return (part["images"] for part in parts)


def sample_in_parts(
    model: edm.Denoiser,
    run: Run,
    index: np.ndarray,
    labels: np.ndarray,
    device: torch.device,
    each: int = 1,
) -> np.ndarray:
    """As `sample`, with at most TOGETHER images in the network at once. each: how often the network
    of this denoiser sees an image."""
    cuts = range(TOGETHER // each or 1, len(index), TOGETHER // each or 1)
    parts = zip(np.split(index, cuts), np.split(labels, cuts), strict=True)
    return np.concatenate([sample(model, run, i, said, device) for i, said in parts])


def sample(
    model: edm.Denoiser, run: Run, index: np.ndarray, labels: np.ndarray, device: torch.device
) -> np.ndarray:
    """Images number `index` of a run, uint8 [n, c, h, w]: by Heun's method from noise that is a
    function of seed and number."""
    shape = (run.channels, run.size, run.size)
    seeds = (streams.integer(run.seed, "sampling", int(i)) for i in index)
    noise = [torch.randn(shape, generator=torch.Generator().manual_seed(s)) for s in seeds]
    conditions = condition(torch.from_numpy(labels).to(device), run)
    start, steps = torch.stack(noise).to(device), run.evaluation["sampling_steps"]
    return pixels(parametrisation(run).sample(model, start, conditions, steps))


# ------------------------------------------------------------------------- classification


def class_errors(model: edm.Denoiser, run: Run, test: Split, device: torch.device):
    """The model as a classifier: denoising errors float64 [n, C] of the first test images given
    each class, over draws of noise that all share; the smallest is the decision. The draws' noise
    levels are evenly spaced quantiles of those of training."""
    count, draws = run.evaluation["classified"], run.evaluation["draws"]
    images = scaled(torch.from_numpy(np.array(test.x[:count])).to(device))
    own = parametrisation(run)
    sigmas = own.noise_levels((torch.arange(draws, device=device) + 0.5) / draws)
    seed = streams.integer(0, "classification", 0)
    _, noise = draw(run, (draws, *images.shape[1:]), seed, device)
    return edm.class_errors(model, images, sigmas, noise, run.classes, own.loss_weight)
