"""The family of algorithmic tasks: network, loss with its regulariser, predictions."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from noiselab import streams
from noiselab.data import prepared
from noiselab.data.batches import LabelledBatches
from noiselab.data.prepared import Split
from noiselab.families.work import Data
from noiselab.models.settings import network_settings
from noiselab.models.small_transformer import SmallTransformer, small_transformer
from noiselab.run import Run
from noiselab.training.loop import Batch, Task


class TokenExamples(LabelledBatches):
    """The endless stream of training examples; where the recipe asks for stability, each with a
    noisy copy of its tokens: inputs are uint8 [n, T, 1, 1], or [n, 2, T, 1, 1]."""

    def __init__(self, run: Run, train: Split, device: torch.device):
        super().__init__(run, train.y, device)
        self.tokens = np.array(train.x)

    def __call__(self, start: int, stop: int) -> Batch:
        index = self.indices(start, stop)
        labels, corrupted = self.corrupted_labels(index, start, stop)
        tokens = self.tokens[index]
        if "stability" in self.run:
            tokens = np.stack([tokens, self._noisy(tokens, start)], 1)
        return Batch(*map(self._to_device, (tokens, labels, corrupted)))

    def _noisy(self, tokens: np.ndarray, start: int) -> np.ndarray:
        """Each of the tokens that noise may change is kept, or drawn anew from the other examples'
        letters, alike. A function of seed and position."""
        keep, count = self.run["stability"]["keep"], self.run["noised"]
        size = len(tokens) * count
        u = streams.uniform(self.run.seed, "stability", start * count, start * count + size)
        u = u.reshape(len(tokens), count, 1, 1)
        letters = min(self.run["letters"], self.run.classes)  # a last one that asks is none
        drawn = ((u - keep) / (1 - keep) * letters).clip(0, letters - 1)
        noisy = tokens.copy()
        noisy[:, :count] = np.where(u < keep, tokens[:, :count], drawn.astype(np.uint8))
        return noisy


def task(run: Run, device: torch.device) -> Task:
    """Everything that the training loop needs for one run."""
    _, train, test = prepared.read(run.data)
    return Task(
        model=build(run),
        batch=TokenExamples(run, train, device),
        loss=stable_loss(run),
        evaluate=accuracies(train, test, device),
        predict=lambda model: {"test": predict(model, test, device)},
    )


def build(run: Run) -> SmallTransformer:
    """The run's network with its initial weights, a function of the seed alone."""
    torch.manual_seed(streams.integer(run.seed, "weights", 0))
    sizes = run["letters"], run.channels, run.classes
    return small_transformer(*sizes, **network_settings(small_transformer, run.model))


def example(run: Run, data: Data) -> tuple[nn.Module, tuple, dict]:
    """The network and the arguments of its forward pass for one example, without content."""
    return build(run), (torch.empty(1, run.channels, 1, 1, dtype=torch.uint8),), {}


def stable_loss(run: Run) -> Callable[[nn.Module, Batch], Tensor]:
    """Mean cross-entropy in nats against the labels as given, minus gamma times how alike the
    outputs of an example and of its noisy copy are: the mean of <M(X), M(Y)>, M the probabilities.
    """
    smoothing = run.get("label_smoothing", 0.0)
    strength = run.get("stability", {}).get("strength", 0.0)

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        if "stability" not in run:
            logits = model(batch.inputs).float()
            return cross_entropy(logits, batch.targets, label_smoothing=smoothing)
        both = model(batch.inputs.flatten(0, 1)).float().unflatten(0, (-1, 2))
        alike = both.softmax(-1).prod(1).sum(-1).mean()
        plain = cross_entropy(both[:, 0], batch.targets, label_smoothing=smoothing)
        return plain - strength * alike

    return loss


def accuracies(train: Split, test: Split, device: torch.device) -> Callable:
    """Evaluation during training: accuracy in per cent on the training and on the test examples."""
    splits = {"train_accuracy": train, "test_accuracy": test}

    def evaluate(model: nn.Module) -> dict[str, float]:
        found = {name: predict(model, split, device) for name, split in splits.items()}
        return {
            name: 100 * float(np.mean(p.argmax(1) == splits[name].y)) for name, p in found.items()
        }

    return evaluate


@torch.no_grad()
def predict(model: nn.Module, split: Split, device: torch.device, size: int = 8192) -> np.ndarray:
    """Predicted probabilities float32 [n, C]."""
    model.eval()
    parts = torch.from_numpy(np.array(split.x)).split(size)
    return torch.cat([model(part.to(device)).float().softmax(-1) for part in parts]).cpu().numpy()
