"""What a configuration must not say, beyond what its schema knows: mistakes that would be taken for
something else, or found hours later.

Each check raises NoiselabError with one line that names the key.
"""

import importlib.util
import re
from collections.abc import Iterable, Iterator

from noiselab.data.kinds import KINDS
from noiselab.errors import NoiselabError
from noiselab.families import stages
from noiselab.planning.config import hint, published

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")  # of a target and of files
FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# Rules that no experiment or artefact can be called like.
RULES = {
    "all",
    "claims",
    "audit",
    "overview",
    "report",
    "workflow_report",
    "resolved_config",
    "plan",
}
RULES |= {
    "masks",
    "write_mask",
    "cost",
    "preflight",
    "collect_metrics",
    "run_config",
    "prepare_out_of_domain",
}
RULES |= {"download_inception", *(stage.rule for stage in stages())}
RULES |= {kind.rule for kind in KINDS.values()} | {k.download for k in KINDS.values() if k.download}


def check(config: dict) -> None:
    """All checks of a configuration as a whole."""
    _check_names(config)
    _check_published(config)


def _check_names(config: dict) -> None:
    """Experiments and artefacts are targets, data sets are folders."""
    for section in ("experiments", "artefacts"):
        for name in config[section]:
            key = f"config key {section}.{name}"
            if not NAME.fullmatch(name):
                raise NoiselabError(f"{key}: a name has letters, digits and _, a letter first")
            if name in RULES:
                raise NoiselabError(f"{key}: {name} is the name of a rule; choose another")
    for name, entry in config["artefacts"].items():
        if name in config["experiments"] and name not in entry.get("experiments", ()):
            raise NoiselabError(
                f"config key experiments.{name}: {name} is a {entry['kind']} that shows others; "
                "choose another name"
            )
    for name in config["datasets"]:
        if not FOLDER.fullmatch(name):
            raise NoiselabError(
                f"config key datasets.{name}: a name has letters, digits, _ and -, none of these "
                "two first"
            )


def _check_published(config: dict) -> None:
    """A data set stands in for one that the papers have numbers of."""
    known = sorted(set(_published_sets(published())))
    for name, spec in config["datasets"].items():
        stands_in_for = spec.get("stands_in_for")
        if stands_in_for is not None and stands_in_for not in known:
            raise NoiselabError(
                f"config key datasets.{name}.stands_in_for: nothing is published of "
                f"{stands_in_for!r} ({hint(stands_in_for, known)})"
            )


def _published_sets(numbers: dict) -> Iterator[str]:
    """Names of the papers' data sets."""
    yield from numbers.get("classes", {})
    for name, entry in numbers.items():
        if name in ("claims", "classes"):
            continue
        for values in entry.get("metrics", {}).values():
            yield from values if isinstance(values, dict) else ()


def check_targets(targets: Iterable[str], rules: list[str]) -> None:
    """Targets are rules or files; what has neither a folder nor a suffix is no file."""
    for target in sorted(targets):
        if target not in rules and "/" not in target and "." not in target:
            raise NoiselabError(f"no target {target} ({hint(target, sorted(rules))})")


def check_dataset(spec: dict) -> None:
    """A data set in use: embedded data come out of packages that are there, and have the classes
    that they have."""
    key, kind = f"config key datasets.{spec['name']}", KINDS[spec["kind"]]
    if kind.classes is not None and spec["classes"] != kind.classes:
        raise NoiselabError(f"{key}.classes: {spec['kind']} has {kind.classes} classes")
    if kind.download is None:
        for package in spec.get("packages", ()):
            if importlib.util.find_spec(package) is None:
                raise NoiselabError(f"{key}.packages: {package} is not installed")


def check_recipe(family: str, recipe: dict) -> None:
    """Lengths of a recipe fit each other."""
    key, batch, micro = f"config key {family}", recipe["batch_size"], recipe["micro_batch_size"]
    if micro is not None and micro > batch:
        raise NoiselabError(
            f"{key}.micro_batch_size: {micro} examples at a time are more than a batch of {batch}"
        )
    step = recipe.get("teacher", {}).get("step")
    if step is not None and recipe["steps"] and step > recipe["steps"]:
        raise NoiselabError(
            f"{key}.teacher.step: a teacher that is stopped after {step} steps needs a training "
            f"that is longer than {recipe['steps']}"
        )
