"""Class-conditional diffusion models of small images, judged by the classifier of the same data."""

from noiselab.data.kinds import FILE_KINDS, IMAGE_KINDS
from noiselab.families.descriptor import (
    CLEAN,
    COUNT,
    COUNTS,
    JUDGE,
    POSITIVE,
    PREDICTIONS,
    RUN,
    SHARE,
    SOME,
    WEIGHTS,
    Family,
    File,
    Model,
    Stage,
    scoring,
    settings,
    training,
)
from noiselab.run import Run

PARAMETRISATIONS = ("edm", "flow_matching")  # what the network is asked for
FEATURES = ("judge", "inception")  # whose features a Fréchet distance is of


def features(run: Run) -> str:
    """Whose features a run's images are compared by."""
    return run.evaluation["features"]


def by_inception(run: Run) -> bool:
    """Whether a run's images are compared by Inception's features."""
    return features(run) == "inception"


SAMPLING = Stage(
    name="sample",
    rule="sample_images",
    script="sample_images",
    reads={"run": File(RUN), "weights": File(WEIGHTS)},
    writes={"samples": "samples.npy", "grid": "samples.png"},
    data=False,
    work=("shards", "samples"),
    processes=True,
    shown="grid",
)
MEASURING = Stage(
    name="measure",
    rule="measure_generated",
    script="measure_generated",
    reads={
        "run": File(RUN),
        "weights": File(WEIGHTS),
        "samples": File("samples.npy"),
        "judge_run": File(RUN, JUDGE),
        "judge_weights": File(WEIGHTS, JUDGE),
    },
    writes={"measured": "measured.npz", "moments": "moments.npz"},
    inception=by_inception,
)
# Once per judge, whatever the number of diffusion runs.
MEASURING_DATA = Stage(
    name="measure",
    rule="measure_training_set",
    script="measure_training_set",
    reads={"judge_run": File(RUN), "judge_weights": File(WEIGHTS)},
    writes={"out": "training_set-{variant}.npz"},
    resources="measure_generated",
    role=JUDGE,
    variant=features,
    inception=by_inception,
)


def mistake(model: dict, spec: dict, recipe: dict) -> str | None:
    """Why such a network cannot be."""
    halved = 2 ** (len(model["multipliers"]) - 1)
    if spec["size"] % halved:
        levels = len(model["multipliers"])
        return (
            f"model.multipliers: a U-Net of {levels} levels needs an image size that divides by "
            f"{halved}, not {spec['size']}"
        )
    if model["width"] % 2 or model["width"] < 4:
        return f"model.width: {model['width']} is no even number from 4 on"
    sizes = [spec["size"] // 2**level for level in range(len(model["multipliers"]))]
    for size in model["attention"]:
        if size not in sizes:
            return f"model.attention: no level has images of {size} pixels, but of {sizes}"
    for key in ("images", "curve_images"):
        if recipe["evaluation"][key] < spec["classes"]:
            return f"evaluation.{key}: fewer than one for each of {spec['classes']} classes"
    return None


def clean_examples(spec: dict, recipe: dict) -> float:
    """Examples that the clean run visits."""
    if recipe.get("steps"):
        return recipe["steps"] * recipe["batch_size"]
    return recipe["epochs"] * spec["train_size"]


UNET = Model(
    {
        "width": COUNT,
        "multipliers": COUNTS,
        "blocks": COUNT,
        "attention": {"type": "array", "items": COUNT},
        "dropout": SHARE,
    },
    mistake,
)

FAMILY = Family(
    name="diffusion",
    title="Diffusion models",
    order=3,
    kinds=(*IMAGE_KINDS, *FILE_KINDS),
    models={"unet": UNET},
    gates={"chance": 10},
    facts=lambda spec, recipe: {
        "classes": spec["classes"],
        "channels": spec["channels"],
        "size": spec["size"],
        "augment": {"crop": 0, "flip": spec["flip"]},
        "evaluation": recipe["evaluation"],
        # Runs of recipes that say nothing of it stay as they are.
        **{key: recipe[key] for key in ("parametrisation",) if key in recipe},
        **({"train_size": spec["train_size"]} if recipe.get("steps") else {}),
    },
    clean_examples=clean_examples,
    judge="classifier",
    recipe={
        "epochs": POSITIVE,
        "steps": SOME,
        "parametrisation": {"enum": list(PARAMETRISATIONS)},
        "evaluation": settings(
            curve_images=COUNT,
            images={"type": "integer", "minimum": 2},
            sampling_steps={"type": "integer", "minimum": 2},
            features={"enum": list(FEATURES)},
            classified=COUNT,
            draws=COUNT,
        ),
    },
    stages=(
        training("diffusion", work="training"),
        SAMPLING,
        MEASURING,
        MEASURING_DATA,
        scoring(
            "diffusion",
            reads={
                "measured": File("measured.npz"),
                "clean": File("measured.npz", CLEAN),
                "judge": File(PREDICTIONS, JUDGE),
                "moments": File("moments.npz"),
                "reference": File(lambda run: f"training_set-{features(run)}.npz", JUDGE),
            },
        ),
    ),
)
