"""The vision-transformer family: classifiers as large as ImageNet needs them."""

import numpy as np
import torch
from torch import nn

from noiselab import streams
from noiselab.data import prepared
from noiselab.data.encoded_batches import training_batches
from noiselab.families.classifier import task as classifier
from noiselab.families.classifier.task import Classifier
from noiselab.families.work import Data
from noiselab.models.vit import vit
from noiselab.run import Run
from noiselab.training.loop import Task


class TransformerClassifier(Classifier):
    """A vision transformer on normalised images: uint8 [n, c, h, w] in, logits [n, C] out."""

    def no_weight_decay(self) -> set[str]:
        """Parameters that are no weights though they are no vectors: class token, positions."""
        return {f"network.{name}" for name in self.network.no_weight_decay()}


def task(run: Run, device: torch.device) -> Task:
    """Everything that the training loop needs for one run."""
    description, train, test = prepared.read_run(run)

    def predict(model: nn.Module) -> dict[str, np.ndarray]:
        rows = train_rows(run, train.y)
        return {
            "test": classifier.predict(model, test.x, device),
            "train_rows": rows,
            "train_decided": classifier.decide(model, train.x, device, rows),
        }

    return Task(
        model=build(run, description),
        batch=training_batches(run, train, device),
        loss=classifier.smoothed_loss(run),
        evaluate=classifier.test_accuracy(test, device),
        predict=predict,
    )


def build(run: Run, description: dict) -> TransformerClassifier:
    """The run's network with its initial weights, a function of the seed alone."""
    torch.manual_seed(streams.integer(run.seed, "weights", 0))
    settings = {k: v for k, v in run.model.items() if k != "name"}
    network = vit(run.channels, run.classes, run.size, **settings)
    model = TransformerClassifier(network, description["mean"], description["std"])
    return model.to(memory_format=torch.channels_last)  # for the stem's convolutions


def example(run: Run, data: Data) -> tuple[nn.Module, tuple, dict]:
    """The network and the arguments of its forward pass for one image, without content."""
    return classifier.images_example(build, run, data)


def train_rows(run: Run, labels: np.ndarray) -> np.ndarray:
    """Training images on which the training accuracy is measured, int64 [n]: all, or the first
    `train_images` that keep the classes balanced."""
    wanted = run.evaluation["train_images"] or len(labels)
    return prepared.class_balanced(np.asarray(labels), min(wanted, len(labels)), run.classes)
