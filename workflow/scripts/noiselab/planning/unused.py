"""Settings that are given and would change nothing: most are misspelt, or meant for something else.

What the files of the project say is not looked at: a tier scales down experiments whose multipliers
are for other data sets, and so on.
"""

import re
from collections.abc import Iterable, Iterator

from noiselab.data.kinds import FILE_KINDS, FOUND_KINDS
from noiselab.errors import NoiselabError
from noiselab.families import FAMILIES
from noiselab.planning.hints import hint

GLYPHS = re.compile(r"glyphs-([1-9][0-9]*)(?:x([1-9][0-9]*))?")
# Settings that an optimiser needs beside its name and learning rate, and those that it may have.
OPTIMIZERS = {
    "sgd": ("momentum", "weight_decay"),
    "adam": ("betas", "weight_decay"),
    "adamw": ("betas", "weight_decay"),
}
OPTIONAL = {"sgd": ("nesterov", "bias_multiplier")}


def check(given: dict, config: dict) -> None:
    """given: what is laid over the project's files; config: all together, valid."""
    for name, changes in given.get("experiments", {}).items():
        experiment = config["experiments"][name]
        training = changes.get("training", {})
        key = f"experiments.{name}"
        for setting in ("batch_multiplier", "replicas"):
            _check_by_ratio(changes.get(setting, {}), [experiment], f"{key}.{setting}")
        place = f"{key}.training.batch_multiplier"
        _check_by_ratio(training.get("batch_multiplier", {}), [experiment], place)
        recipe = _laid_over(config[experiment["family"]], experiment.get("training", {}))
        _check_recipe(training, recipe, f"{key}.training")
        protocol = experiment.get("protocol")
        if "released" in training and protocol != "released":
            raise NoiselabError(
                f"config key {key}.training.released: protocol {protocol} does not use it; say "
                "protocol: released"
            )
    for family in (key for key in given if key in FAMILIES):
        enabled = [e for e in config["experiments"].values() if e.get("enabled", True)]
        users = [e for e in enabled if e["family"] == family]
        multipliers = given[family].get("batch_multiplier", {})
        _check_by_ratio(multipliers, users, f"{family}.batch_multiplier")
        _check_recipe(given[family], config[family], family)
        _check_released(given[family].get("released", {}), f"{family}.released")
    _check_datasets(given.get("datasets", {}), config)
    _check_analyses(given.get("analyses", {}), config)
    _check_cost(given.get("cost", {}).get("data", {}), config)


def _laid_over(base: dict, changes: dict) -> dict:
    """A recipe with changes of its mappings."""
    nested = {k: base[k] | v for k, v in changes.items() if isinstance(v, dict) and k in base}
    return base | changes | nested


def _check_by_ratio(setting: dict, experiments: list[dict], key: str) -> None:
    """Values are for noise ratios of an experiment, or for those of a data set."""
    if len({type(value) for value in setting.values()}) > 1:
        raise NoiselabError(f"config key {key}: either noise ratios or data sets are its keys")
    if setting and not any(isinstance(value, dict) for value in setting.values()):
        _check_twice(setting, f"config key {key}")
    for name, value in setting.items():
        place = f"config key {key}.{name}"
        if not isinstance(value, dict):
            _check_ratio(name, experiments, place)
            continue
        datasets = [d for e in experiments for d in e["datasets"]]
        if name not in datasets:
            raise NoiselabError(f"{place}: no data set of it ({hint(name, datasets)})")
        _check_twice(value, place)
        for ratio in value:
            _check_ratio(ratio, experiments, f"{place}.{ratio}")


def _check_released(changes: dict, key: str) -> None:
    """Multipliers of the published code are for noise ratios that its users may have."""
    ratios = changes.get("batch_multiplier", {})
    _check_twice(ratios, f"config key {key}.batch_multiplier")
    for ratio in ratios:
        if not 0 <= float(ratio) <= 1:
            raise NoiselabError(
                f"config key {key}.batch_multiplier.{ratio}: a noise ratio is from 0 to 1"
            )


def _check_twice(ratios: Iterable[str], place: str) -> None:
    """1 and 1.0 are one noise ratio."""
    numbers = [number(ratio, f"{place}.{ratio}") for ratio in ratios]
    if len(set(numbers)) < len(numbers):
        raise NoiselabError(f"{place}: a noise ratio is there twice ({', '.join(ratios)})")


def _check_ratio(ratio: str, experiments: list[dict], place: str) -> None:
    used = sorted({r for e in experiments for r in _ratios(e)})
    if number(ratio, place) not in used:
        known = ", ".join(f"{r:g}" for r in used)
        raise NoiselabError(f"{place}: not among the noise ratios ({known})")


def number(text: str, place: str) -> float:
    """A noise ratio that is a key. NoiselabError: it is no number."""
    try:
        return float(text)
    except ValueError:
        raise NoiselabError(f"{place}: {text} is neither a noise ratio nor a data set") from None


def _ratios(experiment: dict) -> Iterator[float]:
    yield from map(float, experiment.get("noise_ratios", ()))
    for error in (*experiment.get("error_rates", ()), *experiment.get("noise_shares", ())):
        if error < 1:
            yield round(error / (1 - error), 12)


def _check_recipe(changes: dict, recipe: dict, key: str) -> None:
    """Settings of another optimiser, another schedule or another way to say how long, and goals
    that nothing measures."""
    optimizer = recipe["optimizer"].get("name", "")
    known = OPTIMIZERS.get(optimizer)
    for name in changes.get("optimizer", {}):
        possible = ("name", "learning_rate", *(known or ()), *OPTIONAL.get(optimizer, ()))
        if known and name not in possible:
            raise NoiselabError(f"config key {key}.optimizer.{name}: no setting of {optimizer}")
    peak = recipe["optimizer"].get("learning_rate")
    last = changes.get("schedule", {}).get("final_learning_rate", peak)
    if recipe["schedule"].get("name") == "constant" and last != peak:
        raise NoiselabError(
            f"config key {key}.schedule.final_learning_rate: schedule constant has none; "
            "say schedule: {name: cosine}"
        )
    whole = recipe["optimizer"].keys() >= set(known or ())
    if optimizer == "adam" and whole and recipe["optimizer"]["weight_decay"]:
        raise NoiselabError(
            f"config key {key}.optimizer.weight_decay: adam decays nothing; say name: adamw"
        )
    for name in recipe.get("stop_at", {}):
        if not name.endswith("accuracy"):
            raise NoiselabError(
                f"config key {key}.stop_at.{name}: training ends where a score is as high, so an "
                "accuracy is needed"
            )
    if recipe.get("stop_at") and not recipe.get("evaluations"):
        raise NoiselabError(f"config key {key}.stop_at: evaluations: 0 never measures it")
    if changes.get("epochs") is not None and recipe.get("steps") is not None:
        raise NoiselabError(
            f"config key {key}.epochs: steps: {recipe['steps']} counts instead; set steps: null"
        )


def _check_datasets(changes: dict, config: dict) -> None:
    """One of two ways to say how many images there are; what a name says of glyphs is so; changes
    of recipes change something."""
    for name, change in changes.items():
        key = f"config key datasets.{name}"
        for family, recipe in change.get("overrides", {}).items():
            place = f"datasets.{name}.overrides.{family}"
            _check_recipe(recipe, _laid_over(config[family], recipe), place)
            users = [e for e in config["experiments"].values() if name in e["datasets"]]
            users = [e for e in users if e["family"] == family]
            multipliers = recipe.get("batch_multiplier", {})
            _check_by_ratio(multipliers, users, f"{place}.batch_multiplier")
        for split in ("train", "test"):
            both = change.get(f"{split}_per_class") and change.get(f"{split}_size")
            if both and change.get("kind") not in (*FILE_KINDS, *FOUND_KINDS):
                raise NoiselabError(f"{key}.{split}_size: not together with {split}_per_class")
        if glyphs := GLYPHS.fullmatch(name):
            said = {"kind": "glyphs", "classes": int(glyphs[1])}
            said |= {"train_per_class": int(glyphs[2])} if glyphs[2] else {}
            for setting, value in said.items():
                if change.get(setting, value) != value:
                    raise NoiselabError(f"{key}.{setting}: the name says that it is {value}")


def _check_analyses(sections: dict, config: dict) -> None:
    """Sections are what artefacts name as their settings."""
    known = [a["settings"] for a in config["artefacts"].values() if "settings" in a]
    for section in sections:
        if section not in known:
            raise NoiselabError(
                f"config key analyses.{section}: no artefact has these settings "
                f"({hint(section, known)})"
            )


def _check_cost(sizes: dict, config: dict) -> None:
    """Sizes are assumed of data sets, or of kinds of these."""
    kinds = {spec["kind"] for spec in config["datasets"].values() if "kind" in spec}
    known = [*config["datasets"], *sorted(kinds)]
    for name in sizes:
        if name not in known:
            raise NoiselabError(f"config key cost.data.{name}: no data set ({hint(name, known)})")
