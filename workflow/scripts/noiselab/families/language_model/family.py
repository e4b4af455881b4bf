"""Language models: GPT-2 on token sequences."""

from noiselab.data.kinds import TEXT_KINDS
from noiselab.families.descriptor import (
    CLEAN,
    COUNT,
    SOME,
    WEIGHTS,
    Family,
    File,
    Model,
    heads_mistake,
    scoring,
    settings,
    training,
)

GPT2 = Model(
    {
        "layers": COUNT,
        "heads": COUNT,
        "width": COUNT,
        "context": {"type": "integer", "minimum": 2},
    },
    heads_mistake,
)

FAMILY = Family(
    name="language_model",
    title="Language models",
    order=4,
    kinds=TEXT_KINDS,
    models={"gpt2": GPT2},
    facts=lambda spec, recipe: {
        "vocabulary": spec["vocabulary"],
        "evaluation": recipe["evaluation"],
    },
    clean_examples=lambda spec, recipe: recipe["steps"] * recipe["batch_size"],
    recipe={
        "steps": COUNT,
        "evaluation": settings(crops=SOME, train_sequences=COUNT, curve_sequences=COUNT),
    },
    stages=(
        training("language_model"),
        scoring(
            "language_model",
            cheap=False,
            reads={"weights": File(WEIGHTS), "clean": File(WEIGHTS, CLEAN)},
            data_files={
                "out_of_domain": lambda spec: (
                    "out_of_domain.npy" if spec.get("out_of_domain") else None
                )
            },
        ),
    ),
)
