"""The classifier family: network, loss and predictions."""

from collections.abc import Callable, Iterator
from math import log

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from noiselab import streams
from noiselab.data import prepared
from noiselab.data.encoded import EncodedImages
from noiselab.data.encoded_batches import PIECE, free_threads, training_batches, views
from noiselab.data.prepared import Split
from noiselab.errors import NoiselabError
from noiselab.families.work import Data
from noiselab.models.fast_cnn import FastCNN, fast_cnn
from noiselab.models.perceptrons import mixer, mlp
from noiselab.models.resnet import resnet
from noiselab.noise.registry import corruption
from noiselab.run import Run
from noiselab.training import distributed
from noiselab.training.input_noise import Images, with_input_noise
from noiselab.training.loop import Batch, Task

SMALLEST = 1e-20  # probability whose logarithm is taken
WHITENED = 5000  # training images, at most, that the first layer of a FastCNN is made from
Pictures = np.ndarray | EncodedImages  # uint8 [n, c, h, w], or files

# Name in the configuration -> (channels, size of the images in pixels, classes, **settings) to a
# network: float [n, channels, size, size] in, logits [n, classes] out.
MODELS: dict[str, Callable[..., nn.Module]] = {
    "resnet": lambda channels, size, classes, **settings: resnet(channels, classes, **settings),
    "fast_cnn": lambda channels, size, classes, **settings: fast_cnn(channels, classes, **settings),
    "mlp": mlp,
    "mixer": mixer,
}


class Classifier(nn.Module):
    """A network on normalised images: uint8 [n, c, h, w] in, logits [n, C] out.

    mirrored: outside of training, its probabilities are means over an image and its mirror image.
    """

    def __init__(
        self, network: nn.Module, mean: list[float], std: list[float], mirrored: bool = False
    ):
        super().__init__()
        self.network, self.mirrored = network, mirrored
        self.register_buffer("mean", 255 * torch.tensor(mean)[:, None, None])
        self.register_buffer("std", 255 * torch.tensor(std)[:, None, None])

    def normalised(self, images: Tensor) -> Tensor:
        """What the network sees, float [n, c, h, w]."""
        return (images - self.mean) / self.std

    def forward(self, images: Tensor) -> Tensor:
        seen = self.normalised(images)
        if self.training or not self.mirrored:
            return self.network(seen)
        both = [self.network(view).float().log_softmax(-1) for view in (seen, seen.flip(-1))]
        return torch.logsumexp(torch.stack(both), 0) - log(2)


def task(run: Run, device: torch.device, data: tuple | None = None) -> Task:
    """Everything that the training loop needs for one run. data: description, training and test
    split, where they are not those of the run's folder. NoiselabError: the network has not one
    output per class."""
    description, train, test = data or prepared.read_run(run)
    model = build(run, description)
    check_outputs(model, run, description["shape"][-1])
    if isinstance(model.network, FastCNN):
        model.network.whiten(model.normalised(_first_images(train)))
    plain = Task(
        model=model,
        batch=training_batches(run, train, device),
        loss=smoothed_loss(run),
        evaluate=test_accuracy(test, device),
        predict=lambda model: {"test": predict(model, test.x, device)},
    )
    return with_input_noise(plain, run, Images(model.mean, model.std))


def test_accuracy(test: Split, device: torch.device) -> Callable[[nn.Module], dict[str, float]]:
    """Evaluation during training: accuracy in per cent on the clean test set."""

    def evaluate(model: nn.Module) -> dict[str, float]:
        right = decide(model, test.x, device) == test.y
        return {"test_accuracy": 100 * float(right.mean())}

    return evaluate


def build(run: Run, description: dict) -> Classifier:
    """The run's classifier with its initial weights, a function of the seed alone."""
    torch.manual_seed(streams.integer(run.seed, "weights", 0))
    settings = {k: v for k, v in run.model.items() if k != "name"}
    size = description["shape"][-1]
    network = MODELS[run.model["name"]](run.channels, size, run.classes, **settings)
    mirrored = run.get("average_mirrored", False)
    model = Classifier(network, description["mean"], description["std"], mirrored)
    return model.to(memory_format=torch.channels_last)  # faster convolutions on CPU and GPU


@torch.no_grad()
def check_outputs(model: Classifier, run: Run, size: int) -> None:
    """NoiselabError: the network does not make run.classes numbers of an image of this size in
    pixels. More of them would be trained as classes that no label has."""
    image = torch.zeros(1, run.channels, size, size)
    found = tuple(model.eval().network(model.normalised(image)).shape)
    model.train()
    if found == (1, run.classes):
        return
    what = f"{found[1]} numbers" if len(found) == 2 else f"an array of shape {found[1:]}"
    need = f"{run.classes} classes need {run.classes}"
    raise NoiselabError(f"model {run.model['name']} gives {what} per image, {need}")


def example(run: Run, data: Data) -> tuple[nn.Module, tuple, dict]:
    """The network and the arguments of its forward pass for one image, without content."""
    return images_example(build, run | {"average_mirrored": False}, data)  # as in training


def images_example(build: Callable, run: Run, data: Data) -> tuple[nn.Module, tuple, dict]:
    """The same of any network that `build` makes of a run and a description of its images, whose
    statistics no size depends on."""
    shape = [run.channels, data.image, data.image]
    network = build(run, {"mean": [0.5], "std": [0.5], "shape": shape})
    return network, (torch.empty(1, *shape),), {}


def _first_images(train: Split) -> Tensor:
    """Training images to whiten by, uint8 [at most WHITENED, c, h, w]."""
    if isinstance(train.x, EncodedImages):
        return next(views(train.x, np.arange(min(WHITENED, len(train.x))), WHITENED, 1))
    return torch.from_numpy(np.array(train.x[:WHITENED]))


def smoothed_loss(
    run: Run, precision: torch.dtype = torch.float32
) -> Callable[[nn.Module, Batch], Tensor]:
    """Mean cross-entropy in nats against the labels as given, corrupted or not, smoothed where the
    recipe says so.

    precision: of the softmax; in single, a loss below 1e-7 has no gradient for the right class.
    With forward correction (Patrini et al. 2017) it is that of p T, what the noise makes of the
    model's probabilities p: it is least where p is that of the clean labels.
    """
    smoothing = run.get("label_smoothing", 0.0)
    transitions = None
    if "correction" in run:
        transitions = torch.from_numpy(corruption(run).transitions).float()

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        logits = model(batch.inputs).to(precision)
        if transitions is not None:
            with torch.autocast(logits.device.type, enabled=False):  # bf16 would round p T
                noisy = logits.softmax(-1) @ transitions.to(logits)
                logits = noisy.clamp_min(SMALLEST).log()  # their own log-softmax: T's rows sum to 1
        return cross_entropy(logits, batch.targets, label_smoothing=smoothing)

    return loss


def predict(model: nn.Module, images: Pictures, device: torch.device) -> np.ndarray:
    """Predicted probabilities float32 [n, C] of test images, in single precision."""
    return _each(model, images, device, lambda logits: logits.softmax(-1))


def decide(
    model: nn.Module, images: Pictures, device: torch.device, rows: np.ndarray | None = None
) -> np.ndarray:
    """The most probable class of these images (all by default), int64 [n]; -1 where a model that
    diverged has none."""

    def decision(logits: Tensor) -> Tensor:
        return torch.where(logits.isfinite().all(-1), logits.argmax(-1), -1)

    return _each(model, images, device, decision, rows)


@torch.no_grad()
def _each(
    model: nn.Module,
    images: Pictures,
    device: torch.device,
    function: Callable[[Tensor], Tensor],
    rows: np.ndarray | None = None,
) -> np.ndarray:
    """`function` of the logits of each image, once, whatever the number of processes: each takes
    a share of the work, all of them get the whole."""
    model.eval()
    rows = np.arange(len(images)) if rows is None else rows
    own = rows[distributed.share(len(rows))]
    parts = [function(model(x.to(device))) for x in in_batches(images, own)]
    return distributed.gathered(torch.cat(parts), len(rows)).cpu().numpy()


def in_batches(images: Pictures, rows: np.ndarray, size: int = 1000) -> Iterator[Tensor]:
    """Images number `rows` as evaluation sees them, uint8 [at most `size`, c, h, w]."""
    if isinstance(images, EncodedImages):
        yield from views(images, rows, PIECE, free_threads())
    else:
        yield from (torch.from_numpy(images[rows[i : i + size]]) for i in range(0, len(rows), size))
