"""How a run is trained: its family's recipe, changed by data set, experiment and protocol."""

from itertools import chain
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
    changed = merge(config[family], spec.get("overrides", {}).get(family, {}))
    changed = merge(changed, experiment.get("training", {}))
    released = changed.pop("released", {})
    if experiment["protocol"] == "released":
        changed = merge(changed, released)
    _check_model(config, experiment, changed, spec)
    gpus = config["resources"].get(f"train_{family}", {}).get("gpu", 1)
    check_recipe(family, changed, spec, max(1, gpus))
    return changed


def paced(recipe: dict, factor: float) -> dict:
    """A recipe with its learning rates, the first and the last, times a factor."""
    if factor == 1:
        return recipe
    optimizer, schedule = recipe["optimizer"], recipe["schedule"]
    scaled = {"learning_rate": factor * optimizer["learning_rate"]}
    last = {"final_learning_rate": factor * schedule["final_learning_rate"]}
    return recipe | {"optimizer": optimizer | scaled, "schedule": schedule | last}


def _check_model(config: dict, experiment: dict, recipe: dict, spec: dict) -> None:
    """A network needs all of its settings but the optional ones, knows no others, and must be
    possible. NoiselabError names the section that says what is wrong."""
    settings = {key: value for key, value in recipe["model"].items() if key != "name"}
    family, name = experiment["family"], recipe["model"]["name"]
    model = FAMILIES[family].models[name]
    where = f"(data set {spec['name']})"
    known_settings = [*model.settings, *model.optional]

    def key(setting: str, said: str) -> str:
        return f"config key {_section(config, experiment, spec, said)}.model.{setting}"

    for setting in settings:
        if setting not in known_settings:
            known = hint(setting, known_settings)
            raise NoiselabError(f"{key(setting, setting)}: no setting of {name} ({known})")
    for setting in model.settings:
        if setting not in settings:  # the section that chose the model lacks it
            raise NoiselabError(f"{key(setting, 'name')}: {name} needs it {where}")
    if mistake := model.mistake(settings, spec, recipe):
        about = mistake.partition(":")[0].removeprefix("model.")  # a key of another part: family
        section = _section(config, experiment, spec, about)
        raise NoiselabError(f"config key {section}.{mistake} {where}")


def _section(config: dict, experiment: dict, spec: dict, setting: str) -> str:
    """The section whose `model` has the last word on a setting, or else the family's."""
    family, training = experiment["family"], experiment.get("training", {})
    overrides = spec.get("overrides", {}).get(family, {})
    own = (n for n, e in config["experiments"].items() if e.get("training") == training)
    sections = [(family, config[family])]
    sections += [(f"datasets.{spec['name']}.overrides.{family}", overrides)]
    sections += [(f"experiments.{next(own, '')}.training", training)]
    if experiment["protocol"] == "released":
        sections += [(f"{place}.released", said.get("released", {})) for place, said in sections]
    said = (place for place, said in reversed(sections) if setting in said.get("model", {}))
    return next(said, family)


def batch_multiplier(experiment: dict, recipe: dict, spec: dict, ratio: float | None) -> int:
    """k of the experiment, or of the protocol, at this noise ratio: batch x k, steps / k."""
    of_experiment = _at_noise_ratios(experiment.get("batch_multiplier", {}), spec["name"])
    return (_at_noise_ratios(recipe.get("batch_multiplier", {})) | of_experiment).get(ratio, 1)


def seeds(experiment: dict, dataset: str, ratio: float | None) -> list[int]:
    """Seeds of an experiment's runs on a data set at a noise ratio: its own, then `replicas`."""
    more = _at_noise_ratios(experiment.get("replicas", {}), dataset).get(ratio, ())
    return list(dict.fromkeys([*experiment["seeds"], *more]))


def all_seeds(experiment: dict) -> list[int]:
    """Seeds of any of an experiment's runs."""
    more = experiment.get("replicas", {})
    parts = (part.values() if isinstance(part, dict) else [part] for part in more.values())
    return list(dict.fromkeys([*experiment["seeds"], *chain(*chain(*parts))]))


def _at_noise_ratios(setting: dict, dataset: str = "") -> dict[float, object]:
    """noise ratio -> value of a setting that may have one such mapping per data set."""
    if any(isinstance(value, dict) for value in setting.values()):
        setting = setting.get(dataset, {})
    return {float(ratio): value for ratio, value in setting.items()}


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
        **({"stop_at": recipe["stop_at"]} if "stop_at" in recipe else {}),
        **({"snapshot_step": base_steps} if snapshots and base_steps < steps else {}),
    }
