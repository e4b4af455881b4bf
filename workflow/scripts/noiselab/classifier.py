"""The classifier family: network, loss and predictions."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from noiselab import streams
from noiselab.data import prepared
from noiselab.data.batches import ImageBatches
from noiselab.models.resnet import resnet
from noiselab.training import Batch, Task


class Classifier(nn.Module):
    """A network on normalised images: uint8 [n, c, h, w] in, logits [n, C] out."""

    def __init__(self, network: nn.Module, mean: list[float], std: list[float]):
        super().__init__()
        self.network = network
        self.register_buffer("mean", 255 * torch.tensor(mean)[:, None, None])
        self.register_buffer("std", 255 * torch.tensor(std)[:, None, None])

    def normalised(self, images: Tensor) -> Tensor:
        """What the network sees, float [n, c, h, w]."""
        return (images - self.mean) / self.std

    def forward(self, images: Tensor) -> Tensor:
        return self.network(self.normalised(images))


def task(run: dict, device: torch.device) -> Task:
    """Everything that the training loop needs for one run."""
    description, train, test = prepared.read(run["data"])

    def test_accuracy(model: nn.Module) -> dict[str, float]:
        p = predict(model, test.x, device)
        return {"test_accuracy": 100 * float((p.argmax(1) == test.y).mean())}

    return Task(
        model=build(run, description),
        batch=ImageBatches(run, train, device),
        loss=loss,
        evaluate=test_accuracy,
        predict=lambda model: predict(model, test.x, device),
    )


def build(run: dict, description: dict) -> Classifier:
    """The run's classifier with its initial weights, a function of the seed alone."""
    torch.manual_seed(streams.integer(run["seed"], "weights", 0))
    settings = {k: v for k, v in run["model"].items() if k != "name"}
    network = resnet(run["channels"], run["classes"], **settings)
    model = Classifier(network, description["mean"], description["std"])
    return model.to(memory_format=torch.channels_last)  # faster convolutions on CPU and GPU


def loss(model: nn.Module, batch: Batch) -> Tensor:
    """Mean cross-entropy in nats against the labels as given, corrupted or not."""
    return cross_entropy(model(batch.inputs).float(), batch.targets)


@torch.no_grad()
def predict(model: nn.Module, images: np.ndarray, device: torch.device, batch: int = 1000):
    """Predicted probabilities float32 [n, C] of uint8 images [n, c, h, w], in single precision."""
    model.eval()
    parts = [
        model(torch.from_numpy(np.array(images[i : i + batch])).to(device)).softmax(-1).cpu()
        for i in range(0, len(images), batch)
    ]
    return torch.cat(parts).numpy()
