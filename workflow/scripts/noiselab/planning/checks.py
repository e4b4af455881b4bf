"""What a configuration must not say, beyond what its schema knows: mistakes that would be taken for
something else, or found hours later.

Each check raises NoiselabError with one line that names the key.
"""

import difflib
import importlib.util
import os
from collections.abc import Iterable, Iterator

from noiselab.data.kinds import DOMAINS, KINDS, LABELLED_KINDS, is_numeric
from noiselab.errors import NoiselabError
from noiselab.families import FAMILIES
from noiselab.noise import registry
from noiselab.noise.base import CORRUPTIONS
from noiselab.planning import names
from noiselab.planning.config import published
from noiselab.planning.hints import hint
from noiselab.planning.unused import OPTIMIZERS, number
from noiselab.run import Run

GPT2 = 50257  # entries of its tokenizer
LONGEST = 1_000_000  # epochs
MOST_STEPS = LARGEST_BATCH = 1_000_000_000


def check(config: dict) -> None:
    """All checks of a configuration as a whole."""
    names.check(config)
    _check_published(config)


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
        yield from entry.get("scores", {})  # of Table 4 of the second study


def given_targets(arguments: list[str], rules: list[str]) -> list[str]:
    """Targets of a command line of Snakemake, without those that are surely right."""
    if "--" in arguments:  # the usual way
        return arguments[arguments.index("--") + 1 :]
    words = [word for word in arguments if not word.startswith("-") and "=" not in word]
    if all(word in rules or word.isdigit() or os.path.exists(word) for word in words):
        return []
    from snakemake.cli import get_argument_parser  # takes its time

    return get_argument_parser().parse_known_args(arguments)[0].targets


def check_targets(targets: Iterable[str], rules: list[str], results: Iterable[str] = ()) -> None:
    """Targets are rules or files. What has neither a folder nor a suffix is no file; a file of
    results is one that is there, or that a job makes. results: these."""
    results = list(results)
    for target in sorted(targets):
        if target in rules or target in results or os.path.exists(target):
            continue
        if "/" not in target and "." not in target:
            raise NoiselabError(f"no target {target} ({hint(target, sorted(rules))})")
        if target.startswith("results/") and "/records/" not in target:
            near = difflib.get_close_matches(target, results, n=1)
            told = f"did you mean {near[0]}?" if near else "snakemake plan shows what is planned"
            raise NoiselabError(f"no job makes {target} ({told})")


def check_dataset(spec: dict) -> None:
    """A data set has what its kind has, and each split enough to train on and to compare."""
    key, kind = f"config key datasets.{spec['name']}", KINDS[spec["kind"]]
    for name, value in kind.fixed.items():
        if spec.get(name) != value:
            raise NoiselabError(f"{key}.{name}: {spec['kind']} has {value}{_unit(name)}")
    if spec.get("tokenizer") == "gpt2" and spec["vocabulary"] != GPT2:
        raise NoiselabError(f"{key}.vocabulary: tokenizer gpt2 has {GPT2} entries")
    if "channels" in spec:
        _check_images(spec, key, kind.examples)
    check_target(spec, key)


def check_target(spec: dict, key: str) -> None:
    """Labelled texts have classes, or numbers from one to a larger one."""
    if spec["kind"] not in LABELLED_KINDS:
        return
    if not is_numeric(spec):
        if spec.get("classes") is None:
            raise NoiselabError(
                f"{key}.classes: is missing; or say target_range, where the label is a number"
            )
        return
    if spec.get("classes") is not None:
        raise NoiselabError(f"{key}.target_range: not together with classes")
    low, high = spec["target_range"]
    if not low < high:
        raise NoiselabError(f"{key}.target_range: {low:g} is not below {high:g}")


def check_packages(spec: dict) -> None:
    """Embedded data in use come out of packages that are there."""
    key, embedded = f"config key datasets.{spec['name']}", KINDS[spec["kind"]].download is None
    own = ("packages", "tokenizer_packages") if embedded else ()
    named = {part: spec.get(part) or () for part in own}
    for domain in DOMAINS:
        outside = spec.get(domain) or {}
        named |= {f"{domain}.{k}": outside[k] for k in ("packages", "licenses") if k in outside}
    for part, packages in named.items():
        for package in packages:
            if not (package.isidentifier() and importlib.util.find_spec(package)):
                raise NoiselabError(f"{key}.{part}: {package} is not installed")


def _unit(name: str) -> str:
    return " classes" if name == "classes" else ""


def _check_images(spec: dict, key: str, there: int | None) -> None:
    """Sizes of an image data set. there: images of its kind; None: that is not known."""
    check_lengths(spec, key)
    if spec["test_size"] < 2:
        raise NoiselabError(f"{key}.test_size: an interval needs 2 images or more")
    if there and spec["train_size"] + spec["test_size"] > there:
        raise NoiselabError(
            f"{key}.train_size: {spec['kind']} has {there} images, fewer than the "
            f"{spec['train_size']} for training and {spec['test_size']} for tests"
        )
    if spec.get("crop", 0) >= spec["size"]:
        raise NoiselabError(f"{key}.crop: a shift of {spec['crop']} pixels leaves no image")


def check_lengths(spec: dict, key: str) -> None:
    """An image data set has an image of each class to train on, and stored pictures are not smaller
    than views of them. What is not known yet is not looked at."""
    if (images := spec.get("train_size") or float("inf")) < (spec.get("classes") or 1):
        raise NoiselabError(
            f"{key}.train_size: {images} images are fewer than {spec['classes']} classes"
        )
    if (spec.get("size") or 0) > (resize := spec.get("resize") or float("inf")):
        raise NoiselabError(
            f"{key}.resize: pictures of {resize} pixels are smaller than the size, {spec['size']}"
        )


def check_recipe(family: str, recipe: dict, spec: dict, processes: int = 1) -> None:
    """Lengths of a recipe fit each other. processes: that share a batch of a training."""
    key = f"config key {family}"
    _check_batch(key, recipe["batch_size"], recipe["micro_batch_size"], processes)
    _check_optimizer(key, recipe["optimizer"], recipe["schedule"])
    step = recipe.get("teacher", {}).get("step")
    if step is not None and recipe["steps"] and step > recipe["steps"]:
        raise NoiselabError(
            f"{key}.teacher.step: a teacher that is stopped after {step} steps needs a training "
            f"that is longer than {recipe['steps']}"
        )
    if (epochs := recipe.get("epochs")) and epochs > LONGEST:
        raise NoiselabError(f"{key}.epochs: {epochs:g} are more than {LONGEST:,}")
    if recipe["schedule"].get("warmup_epochs") and not spec.get("train_size"):
        raise NoiselabError(
            f"{key}.schedule.warmup_epochs: how long an epoch of {spec['name']} is is not known; "
            "say warmup_steps"
        )
    for ratio in recipe.get("batch_multiplier", ()):
        number(ratio, f"{key}.batch_multiplier.{ratio}")


def check_experiment(name: str, experiment: dict, spec: dict) -> None:
    """Corruption, data set and further keys must be those of the family."""
    family, key = FAMILIES[experiment["family"]], f"config key experiments.{name}."
    registry.check(experiment, key, family.corruptions)
    if spec["kind"] not in family.kinds:
        raise NoiselabError(f"{key}datasets: {spec['name']} is not for a {experiment['family']}")
    if not spec.get("clean_labels", True):
        _check_unclean(experiment, spec, key)
    if {"batch_multiplier", "batch_multipliers"} <= set(experiment):
        raise NoiselabError(f"{key}batch_multipliers: not together with batch_multiplier")
    for other in FAMILIES.values():
        foreign = set(other.experiment) & set(experiment) - set(family.experiment)
        for axis in foreign:
            raise NoiselabError(f"{key}{axis}: not for a {family.name}, but a {other.name}")


def _check_unclean(experiment: dict, spec: dict, key: str) -> None:
    """A data set without clean labels is trained on as it is."""
    if experiment["corruption"] != "given_labels":
        raise NoiselabError(
            f"{key}corruption: {experiment['corruption']} is drawn for clean labels, which "
            f"{spec['name']} has not; use given_labels"
        )
    if judge := FAMILIES[experiment["family"]].judge:
        raise NoiselabError(
            f"{key}datasets: {spec['name']} has no clean labels, which a {judge} needs to judge "
            f"what a {experiment['family']} model generates"
        )


def check_run(run: Run) -> None:
    """A training's length, and what its loss is corrected for, can be."""
    _check_length(run)
    _check_correction(run)


def _check_length(run: Run) -> None:
    """A training can end, and is longer than its warm-up; where a multiplier divides it, that is as
    planned."""
    steps, warmup = run.training["steps"], run.training["warmup_steps"]
    if steps > MOST_STEPS:
        raise NoiselabError(
            f"config key {run.family}: {run.run_id} would take {steps:.3g} steps, more than "
            f"{MOST_STEPS:,}"
        )
    if (batch := run.training["batch_size"]) > LARGEST_BATCH:
        raise NoiselabError(
            f"config key {run.family}.batch_size: {run.run_id} would have batches of {batch:.3g} "
            f"examples, more than {LARGEST_BATCH:,}"
        )
    if warmup > steps and run.batch_multiplier == 1:
        raise NoiselabError(
            f"config key {run.family}.schedule: a warm-up of {_count(warmup)} steps is longer than "
            f"the training of {run.run_id}, {steps} steps"
        )


def _check_correction(run: Run) -> None:
    """A loss that is corrected for the noise knows how it turns labels."""
    if "correction" in run and not hasattr(CORRUPTIONS[run.corruption], "transitions"):
        raise NoiselabError(
            f"config key {run.family}.correction: {run.corruption} of {run.run_id} has no "
            "transition matrix to correct by"
        )


def _count(number: int) -> str:
    return f"{number}" if number < MOST_STEPS else f"{number:.3g}"


def _check_batch(key: str, batch: int, micro: int | None, processes: int) -> None:
    """Processes take equal shares of a batch, in equal micro-batches."""
    if micro is not None and micro > batch:
        raise NoiselabError(
            f"{key}.micro_batch_size: {micro} examples at a time are more than a batch of {batch}"
        )
    if batch % processes:
        raise NoiselabError(
            f"{key}.batch_size: {batch} examples cannot be shared evenly by {processes} GPUs"
        )
    share = batch // processes
    if micro is not None and share % min(micro, share):
        raise NoiselabError(
            f"{key}.micro_batch_size: {micro} examples at a time do not divide a batch of {share}"
        )


def _check_optimizer(key: str, optimizer: dict, schedule: dict) -> None:
    """It has what it needs, and its learning rate falls."""
    name, peak = optimizer["name"], optimizer.get("learning_rate")
    for setting in ("learning_rate", *OPTIMIZERS[name]):
        if setting not in optimizer:
            raise NoiselabError(f"{key}.optimizer.{setting}: {name} needs it")
    last = schedule["final_learning_rate"]
    if schedule["name"] == "cosine" and last > peak:
        raise NoiselabError(
            f"{key}.schedule.final_learning_rate: {last:g} is above the learning rate of {peak:g}"
        )
