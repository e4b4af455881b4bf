"""Probes: small heads on the features of frozen models, a whole grid of fits at once.

A run is a task, a head and a backbone, which is a run of another family. Its methods are ways to
fit the head, each with settings of its own among which validation chooses.
"""

from pathlib import Path

from noiselab.data.kinds import FILE_KINDS, IMAGE_KINDS, LABELLED_KINDS
from noiselab.families.descriptor import (
    BACKBONE,
    COUNT,
    POSITIVE,
    RUN,
    SHARE,
    SUMMARY,
    WEIGHTS,
    Axis,
    Family,
    File,
    Model,
    Stage,
    scoring,
    settings,
    some,
)
from noiselab.families.pretrained.family import NAME as PRETRAINED
from noiselab.families.pretrained.family import mark
from noiselab.measures.probes.effects import PENALTIES, without_effect
from noiselab.run import Run

PLAIN = "plain"  # the method that the others are compared with
CHOSEN, TRIED = "chosen.csv", "tried.csv"


def task(run: Run) -> str:
    """The folder of the task's data, after which its features are called."""
    return Path(run.data).name


def own_weights(run: Run) -> str | None:
    """The file of a backbone's weights; a model that was trained elsewhere has a folder."""
    return None if run.backbone["family"] == PRETRAINED else WEIGHTS


NOT_BELOW_0 = {"type": "number", "minimum": 0}
# What a method says; every combination of the values of its lists is tried.
METHOD = settings(
    penalty={"enum": list(PENALTIES[1:])},
    strength=some(POSITIVE),  # λ
    radius=some(POSITIVE),  # γ of t̂ = t + γ δ
    noisy_loss={"type": "boolean"},  # the cross-entropy of t̂
    weight_decay=some(NOT_BELOW_0),
    dropout=some(SHARE),
    early_stopping={"type": "boolean"},  # validation chooses the epoch, too
    learning_rate=some(POSITIVE),  # these instead of the grid's
)


def methods_mistake(model: dict, spec: dict, recipe: dict) -> str | None:
    """A method's settings must all change something."""
    for name, method in recipe["methods"].items():
        strength, radius = (max(method.get(key, [0.0])) for key in ("strength", "radius"))
        noisy = method.get("noisy_loss", False)
        if mistake := without_effect(method.get("penalty", "none"), strength, radius, noisy):
            return f"methods.{name}.{mistake}"
    return None


KEPT = ("epochs", "features", "validation_share", "grid", "methods")  # of the recipe, in run.json

HEADS = Axis(
    key="head",
    default="linear",
    schema=some({"enum": ["linear", "mlp"]}),
    label=lambda head: f"-{head}",
)

# Once for all heads, whatever the number of experiments.
EXTRACTION = Stage(
    name="extract",
    rule="extract_features",
    script="extract_features",
    reads={"run": File(RUN), "weights": File(own_weights)},
    downloaded=mark,
    writes={"out": "features-{variant}.npz"},
    data_files={"task": lambda spec: "dataset.json"},
    work=("shards", "features"),
    processes=True,
    role=BACKBONE,
    variant=task,
)
FITTING = Stage(
    name="fit",
    rule="train_probe",
    script="fit_probes",
    reads={
        "run": File(RUN),
        "features": File(lambda run: f"features-{task(run)}.npz", BACKBONE),
    },
    writes={"chosen": CHOSEN, "tried": TRIED, "summary": SUMMARY},
    data=False,
)

FAMILY = Family(
    name="probe",
    title="Probes",
    order=7,
    kinds=(*LABELLED_KINDS, *IMAGE_KINDS, *FILE_KINDS),
    models={
        "linear": Model({}, methods_mistake),
        "mlp": Model({}, methods_mistake, optional={"hidden": COUNT}),
    },
    facts=lambda spec, recipe: {
        "classes": spec["classes"],
        **{key: recipe[key] for key in KEPT},
    },
    clean_examples=lambda spec, recipe: recipe["epochs"] * spec["train_size"],
    stages=(FITTING, EXTRACTION, scoring("probe", reads={"chosen": File(CHOSEN)})),
    recipe={
        "epochs": COUNT,
        "features": settings(kind={"enum": ["last", "mean"]}, standardised={"type": "boolean"}),
        "validation_share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "grid": settings(learning_rate=some(POSITIVE), batch_size=some(COUNT)),
        "methods": {"type": "object", "minProperties": 1, "additionalProperties": METHOD},
    },
    experiment={"heads": HEADS},
    backbones=("language_model", "classifier", "vision_transformer", PRETRAINED),
    gates={"majority": 2},
    table="probes",
)
