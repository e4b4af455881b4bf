"""How a run is trained: its family's recipe, changed by data set, experiment and protocol."""

from math import ceil

from noiselab.errors import NoiselabError
from noiselab.families import FAMILIES
from noiselab.planning.checks import check_recipe
from noiselab.planning.config import merge
from noiselab.planning.hints import hint


def planned_examples(clean_examples: float, noise_ratio: float | None, budget: str) -> float:
    """Examples a run visits (Alg. 1): `fixed_clean` keeps the clean ones constant, so the
    total grows by 1 + r; `fixed_total` keeps the total, so r need not be known."""
    return clean_examples * (1 + noise_ratio) if budget == "fixed_clean" else clean_examples


def recipe(config: dict, experiment: dict, spec: dict) -> dict:
    """The family's recipe with the changes of data set, experiment and protocol, in this order."""
    family = experiment["family"]
    changed = _changed(config[family], spec.get("overrides", {}).get(family, {}))
    changed = _changed(changed, experiment.get("training", {}))
    released = changed.pop("released", {})
    if experiment["protocol"] == "released":
        changed = _changed(changed, released)
    _check_model(family, changed, spec)
    gpus = config["resources"].get(f"train_{family}", {}).get("gpu", 1)
    check_recipe(family, changed, spec, max(1, gpus))
    return changed


def _changed(before: dict, changes: dict) -> dict:
    """A recipe with changes. Another model has none of the settings of the one it replaces."""
    old, new = (part.get("model", {}).get("name") for part in (before, changes))
    if new not in (None, old):
        before = before | {"model": {}}
    return merge(before, changes)


def _check_model(family: str, recipe: dict, spec: dict) -> None:
    """A network needs all of its settings but the optional ones, knows no others, and must be
    possible."""
    settings = {key: value for key, value in recipe["model"].items() if key != "name"}
    name = recipe["model"]["name"]
    model = FAMILIES[family].models[name]
    where = f"(data set {spec['name']})"
    known_settings = [*model.settings, *model.optional]
    for key in settings:
        if key not in known_settings:
            known = hint(key, known_settings)
            raise NoiselabError(f"config key {family}.model.{key}: no setting of {name} ({known})")
    for key in model.settings:
        if key not in settings:
            raise NoiselabError(f"config key {family}.model.{key}: {name} needs it {where}")
    if mistake := model.mistake(settings, spec, recipe):
        raise NoiselabError(f"config key {family}.{mistake} {where}")


def batch_multiplier(experiment: dict, recipe: dict, spec: dict, ratio: float | None) -> int:
    """k of the experiment, or of the protocol, at this noise ratio: batch x k, steps / k."""
    of_experiment = experiment.get("batch_multiplier", {})
    if any(isinstance(k, dict) for k in of_experiment.values()):  # one map per data set
        of_experiment = of_experiment.get(spec["name"], {})
    chosen = recipe.get("batch_multiplier", {}) | of_experiment
    return {float(r): k for r, k in chosen.items()}.get(ratio, 1)


def training(
    recipe: dict, clean_examples: float, spec: dict, noise: dict, snapshots: bool = False
) -> dict:
    """Steps and batch of one run from its length, budget, noise ratio and batch multiplier."""
    batch = recipe["batch_size"] * noise["batch_multiplier"]
    planned = planned_examples(clean_examples, noise["noise_ratio"], noise["budget"])
    if recipe.get("multiplier_divides") == "epochs":
        planned /= noise["batch_multiplier"]
    steps, base_steps = ceil(planned / batch), ceil(clean_examples / batch)
    schedule = recipe["schedule"]
    warmup = schedule.get("warmup_steps", 0) * recipe["batch_size"]  # in examples
    warmup += schedule.get("warmup_epochs", 0) * (spec.get("train_size") or 0)
    return {
        "steps": steps,
        "batch_size": batch,
        "micro_batch_size": recipe["micro_batch_size"],
        "optimizer": recipe["optimizer"],
        "schedule": schedule["name"],
        "schedule_steps": steps if schedule["length"] == "total" else base_steps,
        "warmup_steps": ceil(warmup / batch),
        "final_learning_rate": schedule["final_learning_rate"],
        "clip_norm": recipe["clip_norm"],
        "ema_decay": recipe["ema_decay"],
        "precision": recipe["precision"],
        "compile": recipe["compile"],
        "evaluate_every": ceil(steps / recipe["evaluations"]) if recipe["evaluations"] else None,
        "checkpoint_minutes": recipe["checkpoint_minutes"],
        **({"snapshot_step": base_steps} if snapshots and base_steps < steps else {}),
    }
