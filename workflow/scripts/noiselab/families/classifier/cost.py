"""What the stages of a classifier compute and leave."""

from noiselab.families.work import Computing, Sizes, Work, snapshots
from noiselab.run import Run


def glance(sizes: Sizes) -> float:
    """Examples of one evaluation during training: all test images."""
    return sizes.data.validation


def predicting(sizes: Sizes, train_images: float = 0) -> Work:
    """Probabilities of test images, in float32; of training images, if any, row and decision, in
    int64."""
    networks, tested = snapshots(sizes.run), sizes.data.validation
    flops = networks * (tested + train_images) * sizes.network.forward
    size = 4 * sizes.run.classes * tested + 2 * 8 * train_images
    return Work((Computing(flops),), networks * size)


def features(run: Run) -> int | None:
    """Numbers per image that the last stage of the network has; None: unknown."""
    if run.model["name"] != "resnet":
        return None
    return run.model["width"] * 2 ** (len(run.model["blocks"]) - 1)


def annotating(sizes: Sizes) -> Work:
    """Two classes and a number for each image, in 64 bits."""
    images = sizes.data.train + sizes.data.validation
    return Work((Computing(images * sizes.network.forward),), 3 * 8 * images)


WORK = {"train_classifier": predicting, "annotate_classifier": annotating}
