"""The family of algorithmic tasks: network, examples, predictions."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from noiselab import streams
from noiselab.data import prepared
from noiselab.data.batches import LabelledBatches
from noiselab.data.prepared import Split
from noiselab.families.classifier.task import smoothed_loss
from noiselab.families.work import Data
from noiselab.models.settings import network_settings
from noiselab.models.small_transformer import SmallTransformer, small_transformer
from noiselab.run import Run
from noiselab.training.input_noise import Tokens, with_input_noise
from noiselab.training.loop import Batch, Task


class TokenExamples(LabelledBatches):
    """The endless stream of training examples: inputs are uint8 [n, T, 1, 1]."""

    def __init__(self, run: Run, train: Split, device: torch.device):
        super().__init__(run, train.y, device)
        self.tokens = np.array(train.x)

    def __call__(self, start: int, stop: int) -> Batch:
        index = self.indices(start, stop)
        labels, corrupted = self.corrupted_labels(index, start, stop)
        return Batch(*map(self._to_device, (self.tokens[index], labels, corrupted)))


def task(run: Run, device: torch.device) -> Task:
    """Everything that the training loop needs for one run."""
    _, train, test = prepared.read(run.data)
    plain = Task(
        model=build(run),
        batch=TokenExamples(run, train, device),
        loss=smoothed_loss(run, torch.float64),  # training goes on long after all cases are known
        evaluate=accuracies(train, test, device),
        predict=lambda model: {"test": predict(model, test, device)},
    )
    # A last token that asks is no letter that noise can draw.
    return with_input_noise(plain, run, Tokens(min(run["letters"], run.classes), run["noised"]))


def build(run: Run) -> SmallTransformer:
    """The run's network with its initial weights, a function of the seed alone."""
    torch.manual_seed(streams.integer(run.seed, "weights", 0))
    sizes = run["letters"], run.channels, run.classes
    return small_transformer(*sizes, **network_settings(small_transformer, run.model))


def example(run: Run, data: Data) -> tuple[nn.Module, tuple, dict]:
    """The network and the arguments of its forward pass for one example, without content."""
    return build(run), (torch.empty(1, run.channels, 1, 1, dtype=torch.uint8),), {}


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
