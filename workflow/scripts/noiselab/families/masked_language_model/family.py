"""Masked language models: BERT on token sequences."""

from noiselab.data.kinds import TEXT_KINDS
from noiselab.families.descriptor import (
    CLEAN,
    COUNT,
    POSITIVE,
    SHARE,
    WEIGHTS,
    Family,
    File,
    Model,
    heads_mistake,
    scoring,
    settings,
    training,
)
from noiselab.families.language_model.family import (
    CURVE_FILES,
    DOMAIN_FILES,
    data_mistake,
    evaluated,
)

BERT = Model(
    {
        "layers": COUNT,
        "heads": COUNT,
        "width": COUNT,
        "context": {"type": "integer", "minimum": 2},
        "dropout": SHARE,
    },
    heads_mistake,
    optional={"initial_std": POSITIVE},
)

FAMILY = Family(
    name="masked_language_model",
    title="Masked language models",
    order=4,
    kinds=TEXT_KINDS,
    models={"bert": BERT},
    gates={"bigram": 0},
    facts=lambda spec, recipe: {
        **evaluated(spec, recipe),
        "mask_share": recipe["mask_share"],
    },
    data_mistake=data_mistake,
    clean_examples=lambda spec, recipe: recipe["steps"] * recipe["batch_size"],
    recipe={
        "steps": COUNT,
        "mask_share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "evaluation": settings(noise_sequences=COUNT, curve_sequences=COUNT),
    },
    stages=(
        training("masked_language_model", data_also=CURVE_FILES),
        scoring(
            "masked_language_model",
            cheap=False,
            reads={"weights": File(WEIGHTS), "clean": File(WEIGHTS, CLEAN)},
            data_files=DOMAIN_FILES,
        ),
    ),
)
