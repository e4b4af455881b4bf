"""Convolutional classifiers of small images."""

from noiselab.data.kinds import FILE_KINDS, IMAGE_KINDS
from noiselab.families.descriptor import (
    ANNOTATION,
    ANNOTATOR,
    CLEAN,
    COUNT,
    COUNTS,
    HISTORY,
    POSITIVE,
    PREDICTIONS,
    RUN,
    WEIGHTS,
    Family,
    File,
    Model,
    Stage,
    scoring,
    training,
)


def stages(family: str) -> tuple[Stage, ...]:
    """Those of every family of classifiers: training, then scores of its predictions."""
    reads = {
        "history": File(HISTORY),
        "predictions": File(PREDICTIONS),
        "clean": File(PREDICTIONS, CLEAN),
    }
    annotation = {"annotation": File(ANNOTATION, ANNOTATOR)}  # the floor follows from it
    return training(family, predictions=True), scoring(family, reads=reads, also=annotation)


def annotating(family: str) -> Stage:
    """What an annotator thinks of each image, once for all runs whose labels depend on it."""
    return Stage(
        name="annotate",
        rule=f"annotate_{family}",
        script="annotate",
        reads={"run": File(RUN), "weights": File(WEIGHTS)},
        writes={"out": ANNOTATION},
        resources=f"train_{family}",
    )


RESNET = Model({"width": COUNT, "blocks": COUNTS})

FAMILY = Family(
    name="classifier",
    title="Classifiers",
    order=1,
    kinds=(*IMAGE_KINDS, *FILE_KINDS),
    models={"resnet": RESNET},
    gates={"chance": 10},
    facts=lambda spec, recipe: {
        "classes": spec["classes"],
        "channels": spec["channels"],
        "augment": {"crop": spec.get("crop", 0), "flip": spec["flip"]},
    },
    recipe={"epochs": POSITIVE},
    clean_examples=lambda spec, recipe: recipe["epochs"] * spec["train_size"],
    stages=stages("classifier"),
    role_stages={ANNOTATOR: (annotating("classifier"),)},
)
