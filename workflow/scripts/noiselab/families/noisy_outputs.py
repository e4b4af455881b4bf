"""What a trained model says of inputs and of their noisy copies, for every family but those of
probes.

For each family: how to read the model, inputs that it was not trained on, what noise does to them,
and a function from inputs to probabilities; of a diffusion model, to denoised images.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from noiselab.data import pairs, prepared, text
from noiselab.data.pair_batches import source_rows, target_rows
from noiselab.data.pairs import END, PAD
from noiselab.families.algorithmic import task as algorithmic
from noiselab.families.classifier import task as classifier
from noiselab.families.diffusion import task as diffusion
from noiselab.families.language_model import task as language_model
from noiselab.families.seq2seq import task as seq2seq
from noiselab.families.vision_transformer import task as vision_transformer
from noiselab.run import Run
from noiselab.training.input_noise import Images, Tokens
from noiselab.training.weights import load_weights

SYMBOLS = max(PAD, END) + 1  # numbers below are no words


class ImagesOfClasses(NamedTuple):
    """Images [n, c + 1, h, w] with their class in the last channel, which noise leaves alone."""

    images: Images

    def noisy(self, inputs: Tensor, settings: dict, draw: Callable) -> Tensor:
        """As of images."""
        return torch.cat([self.images.noisy(inputs[:, :-1], settings, draw), inputs[:, -1:]], 1)


class Measured(NamedTuple):
    """A model with its inputs."""

    outputs: Callable[[Tensor], Tensor]  # inputs to probabilities, or others, float [n, C]
    inputs: Tensor  # [n, …]
    noise: Images | ImagesOfClasses | Tokens


def measured(run: Run, weights: Path, count: int, device: torch.device) -> Measured:
    """A run's model and `count` of its test inputs, or all that there are."""
    return MEASURED[run.family](run, weights, count, device)


def _images(build: Callable) -> Callable:
    def found(run: Run, weights: Path, count: int, device: torch.device) -> Measured:
        description, _, test = prepared.read_run(run)
        model = load_weights(weights, build(run, description), device, run.run_id).eval()
        parts = list(classifier.in_batches(test.x, np.arange(min(count, len(test.y)))))
        return Measured(
            lambda inputs: model(inputs).float().softmax(-1),
            torch.cat(parts).float().to(device),
            Images(model.mean, model.std),
        )

    return found


def _algorithmic(run: Run, weights: Path, count: int, device: torch.device) -> Measured:
    _, _, test = prepared.read(run.data)
    model = load_weights(weights, algorithmic.build(run), device, run.run_id).eval()
    inputs = torch.from_numpy(np.array(test.x[:count])).to(device)
    noise = Tokens(min(run["letters"], run.classes), run["noised"])
    return Measured(lambda tokens: model(tokens).float().softmax(-1), inputs, noise)


def _diffusion(run: Run, weights: Path, count: int, device: torch.device) -> Measured:
    """The denoised image, [n, c h w], of one of the middle noise level of training and its right
    class."""
    _, _, test = prepared.read_run(run)
    model = load_weights(weights, diffusion.build(run), device, run.run_id).eval()
    batch = diffusion.held_out_batch(run, test, count, device)
    sigma = diffusion.parametrisation(run).noise_levels(torch.tensor(0.5)).to(device)
    images = batch.inputs.images + sigma * batch.inputs.noise
    labels = batch.targets[:, None, None, None].expand_as(images[:, :1])

    def outputs(inputs: Tensor) -> Tensor:
        condition = diffusion.condition(inputs[:, -1, 0, 0].long(), run)
        return model(inputs[:, :-1], sigma.expand(len(inputs)), condition).float().flatten(1)

    mean, std = images.mean((0, 2, 3)), images.std((0, 2, 3))
    noise = Images(mean[:, None, None], std[:, None, None])
    return Measured(outputs, torch.cat([images, labels], 1), ImagesOfClasses(noise))


def _language_model(run: Run, weights: Path, count: int, device: torch.device) -> Measured:
    """Of the token after a whole window."""
    _, _, validation = text.read(run.data)
    model = load_weights(weights, language_model.build(run), device, run.run_id).eval()
    windows = language_model.random_windows(run, validation, "stability", count)
    inputs = torch.from_numpy(np.stack(windows)[:, :-1]).to(device)

    def outputs(tokens: Tensor) -> Tensor:
        return model(tokens).logits[:, -1].float().softmax(-1)[:, : run.vocabulary]

    return Measured(outputs, inputs, Tokens(run.vocabulary, run.model["context"]))


def _seq2seq(run: Run, weights: Path, count: int, device: torch.device) -> Measured:
    """Of a token in the middle of the target, by the source; noise changes the words of sources
    that fill their rows, so that padding stays padding."""
    _, _, validation = pairs.read(run.data)
    model = load_weights(weights, seq2seq.build(run), device, run.run_id).eval()
    source, target = source_rows(run, validation.source), target_rows(run, validation.target)
    length = int(np.median(source.body))
    chosen = np.flatnonzero((source.body >= length) & (target.lengths > 2))[:count]
    rows = torch.from_numpy(source(chosen)[:, :length])
    written = torch.from_numpy(target(chosen))
    before = torch.from_numpy(target.lengths[chosen] // 2)
    decoder_input = written[:, : int(before.max())].to(device)
    kept = torch.zeros_like(decoder_input, dtype=torch.bool)
    kept[torch.arange(len(chosen)), before - 1] = True

    def outputs(numbers: Tensor) -> Tensor:
        own = numbers[:, length].to(device)  # which pair each row is of
        source_tokens = numbers[:, :length] + SYMBOLS
        found = seq2seq.token_logits(model, source_tokens, decoder_input[own], kept[own])
        return found.softmax(-1)

    # A last column says which pair a row is of: noise leaves it as it is.
    numbers = torch.arange(len(chosen))[:, None]
    inputs = torch.cat([rows - SYMBOLS, numbers], 1).to(device)
    return Measured(outputs, inputs, Tokens(run.vocabulary - SYMBOLS, length))


# Family -> (run, its weights, inputs wanted, device) to what is measured.
MEASURED = {
    "classifier": _images(classifier.build),
    "vision_transformer": _images(vision_transformer.build),
    "algorithmic": _algorithmic,
    "diffusion": _diffusion,
    "language_model": _language_model,
    "seq2seq": _seq2seq,
}
