"""Vision transformers: classifiers as large as ImageNet needs them."""

import re

from noiselab.data.kinds import FILE_KINDS, IMAGE_KINDS
from noiselab.families.classifier.family import CORRECTION, annotating, stages, undivided
from noiselab.families.descriptor import (
    ANNOTATOR,
    COUNT,
    IMAGES,
    POSITIVE,
    SHARE,
    SOME,
    Family,
    Model,
    heads_mistake,
    settings,
)

# As timm reads it: magnitude, number of operations, and so on.
RANDAUGMENT = re.compile(r"rand(-(mstd|mmax|inc|[mnpw])[0-9]+(\.[0-9]+)?)*")


def facts(spec: dict, recipe: dict) -> dict:
    """The family's own keys of run.json."""
    return {
        "classes": spec["classes"],
        "channels": spec["channels"],
        "size": spec["size"],
        "train_size": spec["train_size"],
        "augment": augmentation(spec, recipe),
        "label_smoothing": recipe["label_smoothing"],
        "evaluation": recipe["evaluation"],
    }


def augmentation(spec: dict, recipe: dict) -> dict:
    """What training does to an image: files are cut to a random part and go through RandAugment,
    small images in memory are shifted."""
    if spec["kind"] in FILE_KINDS:
        return {"flip": spec["flip"]} | {k: recipe[k] for k in ("crop_scale", "randaugment")}
    return {"crop": spec["crop"], "flip": spec["flip"]}


def clean_examples(spec: dict, recipe: dict) -> float:
    """Examples that the clean run visits."""
    if recipe["steps"]:
        return recipe["steps"] * recipe["batch_size"]
    return recipe["epochs"] * spec["train_size"]


def mistake(model: dict, spec: dict, recipe: dict) -> str | None:
    """Why such a network cannot be."""
    if why := undivided(model, spec, recipe):
        return why
    if model["stem"] == "convolution" and model["patch"].bit_count() > 1:
        return f"model.patch: {model['patch']} is no power of two, which stem: convolution needs"
    if model["stem"] == "convolution" and 2 * model["width"] < model["patch"]:
        return f"model.width: {model['width']} is too small for patches of {model['patch']} pixels"
    smallest, largest = recipe["crop_scale"]
    if smallest > largest:
        return f"crop_scale: from {smallest} to {largest} is nothing; the smaller share comes first"
    if recipe["randaugment"] is not None and not RANDAUGMENT.fullmatch(recipe["randaugment"]):
        return f"randaugment: {recipe['randaugment']!r} is not as rand-m9-n2-mstd0.5"
    return heads_mistake(model, spec, recipe)


VIT = Model(
    {
        "patch": COUNT,
        "layers": COUNT,
        "heads": COUNT,
        "width": COUNT,
        "drop_path": SHARE,
        "stem": {"enum": ["patch", "convolution"]},
        "pool": {"enum": ["token", "avg"]},
        "initialization": {"enum": ["timm", "moco"]},
    },
    mistake,
)

FAMILY = Family(
    name="vision_transformer",
    title="Vision transformers",
    order=2,
    kinds=(*IMAGE_KINDS, *FILE_KINDS),
    models={"vit": VIT},
    gates={"chance": 10},
    facts=facts,
    clean_examples=clean_examples,
    snapshots=True,
    recipe={
        "epochs": POSITIVE,
        "steps": SOME,
        "multiplier_divides": {"enum": ["steps", "epochs"]},
        "label_smoothing": SHARE,
        "correction": CORRECTION,
        "crop_scale": {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "items": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        },
        "randaugment": {"type": ["string", "null"]},
        "evaluation": settings(train_images=SOME),
    },
    stages=stages("vision_transformer"),
    role_stages={ANNOTATOR: (annotating("vision_transformer"),)},
    features=(IMAGES,),
)
