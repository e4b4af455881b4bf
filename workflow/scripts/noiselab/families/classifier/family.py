"""Convolutional classifiers of small images."""

from noiselab.data.kinds import FILE_KINDS, IMAGE_KINDS
from noiselab.families.descriptor import (
    ANNOTATION,
    ANNOTATOR,
    CLEAN,
    COUNT,
    COUNTS,
    HISTORY,
    IMAGE_NOISE,
    IMAGES,
    POSITIVE,
    PREDICTIONS,
    RUN,
    SHARE,
    WEIGHTS,
    Family,
    File,
    Model,
    Stage,
    input_noise,
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


def too_small(model: dict, spec: dict, recipe: dict) -> str | None:
    """Why such a network cannot be: each block halves the image."""
    least = 2 ** len(model["widths"]) * 2
    if spec["size"] < least:
        return f"model.widths: {len(model['widths'])} blocks need images of {least} pixels or more"
    return None


def undivided(model: dict, spec: dict, recipe: dict) -> str | None:
    """Why such a network cannot be: patches cover the image."""
    if spec["size"] % model["patch"]:
        return f"model.patch: patches of {model['patch']} pixels do not divide {spec['size']}"
    return None


# Of the loss, by the noise's transition matrix: forward, as in Patrini et al. 2017.
CORRECTION = {"enum": ["forward"]}
RESNET = Model({"width": COUNT, "blocks": COUNTS})
FAST_CNN = Model({"widths": COUNTS}, too_small)
MLP = Model({"width": COUNT, "layers": COUNT})
MIXER = Model({"patch": COUNT, "width": COUNT, "layers": COUNT}, undivided)

FAMILY = Family(
    name="classifier",
    title="Classifiers",
    order=1,
    kinds=(*IMAGE_KINDS, *FILE_KINDS),
    models={"resnet": RESNET, "fast_cnn": FAST_CNN, "mlp": MLP, "mixer": MIXER},
    gates={"chance": 10},
    facts=lambda spec, recipe: {
        "classes": spec["classes"],
        "channels": spec["channels"],
        "augment": {"crop": spec.get("crop", 0), "flip": spec["flip"]},
        # Runs of recipes that say nothing of it stay as they are.
        **{key: recipe[key] for key in ("label_smoothing", "average_mirrored") if recipe.get(key)},
        **input_noise(recipe),
    },
    recipe={
        "epochs": POSITIVE,
        "label_smoothing": SHARE,
        "correction": CORRECTION,
        "average_mirrored": {"type": "boolean"},
        **IMAGE_NOISE,
    },
    clean_examples=lambda spec, recipe: recipe["epochs"] * spec["train_size"],
    stages=stages("classifier"),
    role_stages={ANNOTATOR: (annotating("classifier"),)},
    features=(IMAGES,),
)
