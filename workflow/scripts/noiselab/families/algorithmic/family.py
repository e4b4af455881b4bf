"""Small Transformers that learn a rule, such as addition, from a part of its cases."""

from noiselab.data.kinds import ALGORITHMIC_KINDS
from noiselab.families.descriptor import (
    CLEAN,
    COUNT,
    HISTORY,
    PREDICTIONS,
    SHARE,
    TOKEN_NOISE,
    Family,
    File,
    Model,
    heads_mistake,
    input_noise,
    scoring,
    training,
)

TRANSFORMER = Model(
    {
        "layers": COUNT,
        "heads": COUNT,
        "width": COUNT,
        "feedforward": COUNT,
        "norm": {"type": "boolean"},
    },
    heads_mistake,
)


def facts(spec: dict, recipe: dict) -> dict:
    """The family's own keys of run.json."""
    sizes = {name: spec[name] for name in ("classes", "channels", "letters", "noised")}
    if recipe.get("label_smoothing"):
        sizes["label_smoothing"] = recipe["label_smoothing"]
    return sizes | input_noise(recipe)


FAMILY = Family(
    name="algorithmic",
    title="Algorithmic tasks",
    order=7,
    kinds=ALGORITHMIC_KINDS,
    corruptions=("uniform_label",),
    models={"transformer": TRANSFORMER},
    facts=facts,
    recipe={"steps": COUNT, "label_smoothing": SHARE, **TOKEN_NOISE},
    clean_examples=lambda spec, recipe: recipe["steps"] * recipe["batch_size"],
    stages=(
        training("algorithmic", predictions=True),
        scoring(
            "algorithmic",
            reads={
                "history": File(HISTORY),
                "predictions": File(PREDICTIONS),
                "clean": File(PREDICTIONS, CLEAN),
            },
        ),
    ),
)
