"""Small Transformers that learn a rule, such as addition, from a part of its cases."""

from noiselab.data.kinds import ALGORITHMIC_KINDS
from noiselab.families.descriptor import (
    CLEAN,
    COUNT,
    HISTORY,
    PREDICTIONS,
    SHARE,
    Family,
    File,
    Model,
    heads_mistake,
    scoring,
    settings,
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
# Of the regulariser: γ, and the probability that a token stays, else it is drawn anew.
STABILITY = settings(strength={"type": "number"}, keep=SHARE)


def facts(spec: dict, recipe: dict) -> dict:
    """The family's own keys of run.json."""
    sizes = {name: spec[name] for name in ("classes", "channels", "letters", "noised")}
    own = {name: recipe[name] for name in ("label_smoothing", "stability") if recipe.get(name)}
    return sizes | own


FAMILY = Family(
    name="algorithmic",
    title="Algorithmic tasks",
    order=7,
    kinds=ALGORITHMIC_KINDS,
    corruptions=("uniform_label",),
    models={"transformer": TRANSFORMER},
    facts=facts,
    recipe={"steps": COUNT, "label_smoothing": SHARE, "stability": STABILITY},
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
