"""What the stages of a vision transformer compute and leave."""

from noiselab.families.classifier import cost as classifier
from noiselab.families.work import Sizes, Work

glance = classifier.glance


def predicting(sizes: Sizes) -> Work:
    """Those of a classifier, and decisions on training images."""
    wanted = sizes.run.evaluation["train_images"] or sizes.data.train
    return classifier.predicting(sizes, min(wanted, sizes.data.train))


WORK = {
    "train_vision_transformer": predicting,
    "annotate_vision_transformer": classifier.annotating,
}
