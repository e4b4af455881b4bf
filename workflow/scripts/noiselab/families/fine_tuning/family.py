"""Language models that are fine-tuned whole on a task, with a linear head, under regularisers.

A run is a task, which asks for a class or for a number, and a backbone, as one of probes is. Its
methods are regularisers, with or without local gradient matching, each with settings of its own
among which validation chooses.
"""

from noiselab.data.kinds import LABELLED_KINDS
from noiselab.families.descriptor import (
    BACKBONE,
    COUNT,
    POSITIVE,
    RUN,
    SUMMARY,
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
from noiselab.families.probe.family import CHOSEN, KEPT, TRIED, own_weights

TARGETS = ("classes", "target_range")  # one of the two, of the data set, in run.json

# What a method says; every combination of the values of its lists is tried.
METHOD = settings(
    regulariser={"enum": ["l2_sp", "smart", "lnsr"]},
    weight=some(POSITIVE),  # α of L2-SP and SMART, λ of LNSR
    noise=some(POSITIVE),  # σ of SMART and LNSR
    strength=some(POSITIVE),  # λ of local gradient matching
    radius=some(POSITIVE),  # its γ
)

TUNING = Stage(
    name="tune",
    rule="train_fine_tuning",
    script="fine_tune",
    reads={
        "run": File(RUN),
        "backbone": File(RUN, BACKBONE),
        "weights": File(own_weights, BACKBONE),
    },
    downloaded=mark,
    writes={"chosen": CHOSEN, "tried": TRIED, "summary": SUMMARY},
    work=("fits", "fits"),
)

FAMILY = Family(
    name="fine_tuning",
    title="Fine-tuned models",
    order=9,
    kinds=LABELLED_KINDS,
    models={"linear": Model({})},
    facts=lambda spec, recipe: {
        **{key: spec[key] for key in TARGETS if spec.get(key) is not None},
        **{key: recipe[key] for key in KEPT if key in recipe},
    },
    clean_examples=lambda spec, recipe: recipe["epochs"] * spec["train_size"],
    stages=(TUNING, scoring("fine_tuning", reads={"chosen": File(CHOSEN)})),
    recipe={
        "epochs": COUNT,
        "validation_share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "grid": settings(learning_rate=some(POSITIVE), batch_size=some(COUNT)),
        "methods": {"type": "object", "minProperties": 1, "additionalProperties": METHOD},
    },
    backbones=("language_model", PRETRAINED),
    gates={"majority": 2},
    numeric=True,
    table="fine_tuning",
)
