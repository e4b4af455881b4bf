"""From the configuration to runs: one training each, with everything it needs resolved.

A run is a plain dict, written to `run.json`. Its id is readable and depends only on what
makes it different from its siblings, so that experiments which need the same run share it.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import ceil

from noiselab.errors import NoiselabError
from noiselab.files import digest
from noiselab.noise.matrix import read_matrix
from noiselab.planning.config import merge


def error_rate(noise_ratio: float) -> float:
    """Effective error rate e = r / (1 + r): probability that a target is corrupted (Alg. 1)."""
    return noise_ratio / (1 + noise_ratio)


def planned_examples(clean_examples: float, noise_ratio: float, budget: str) -> float:
    """Examples a run visits (Alg. 1): `fixed_clean` keeps the clean ones constant, so the
    total grows by 1 + r; `fixed_total` keeps the total."""
    return clean_examples * (1 + noise_ratio) if budget == "fixed_clean" else clean_examples


@dataclass(frozen=True)
class Plan:
    """What a configuration asks for."""

    runs: dict[str, dict]  # run id -> run
    experiments: dict[str, list[str]]  # experiment -> ids of its runs
    datasets: dict[str, dict]  # data set -> specification, those in use only

    def of_kinds(self, kinds: tuple[str, ...]) -> list[str]:
        """Names of the data sets of these kinds."""
        return [name for name, spec in self.datasets.items() if spec["kind"] in kinds]


def plan(config: dict, results: str) -> Plan:
    """Expand a validated configuration. `results`: folder of the tier, in the paths of runs."""
    runs: dict[str, dict] = {}
    experiments: dict[str, list[str]] = {}
    datasets: dict[str, dict] = {}
    for name, experiment in planned_experiments(config, results).items():
        experiments[name] = []
        for dataset in experiment["datasets"]:
            spec = resolve_dataset(config["datasets"], dataset, f"experiments.{name}.datasets")
            datasets[dataset] = spec
            _check_family(name, experiment, spec)
            _check_source(config, spec)
            trained = _prolonged(experiment) if reads_snapshots(experiment) else experiment
            if "wrong_labels" in experiment:
                trained = trained | {"wrong_labels": _wrong_labels(name, experiment, spec)}
            for seed, share, multiplier, ratio in _points(experiment):
                run = _run(config, results, trained, spec, float(ratio), seed, share, multiplier)
                experiments[name].append(run["run_id"])
                runs[run["run_id"]] = run
                # The clean run gives the noise floor, so it is there even where not asked for.
                if run["clean_run"] not in runs:
                    clean = _run(config, results, trained, spec, 0.0, seed, share, 1)
                    runs[run["clean_run"]] = clean
                if "teacher_run" in run:
                    runs[run["teacher_run"]] = _teacher(config, results, trained, spec)
                if "judge_run" in run:
                    runs[run["judge_run"]] = _judge(config, results, spec, seed)
    for name, analysis in config["analyses"].items():
        chosen = config["experiments"].get(analysis["experiment"], {})
        if chosen.get("family") != "language_model":
            raise NoiselabError(
                f"config key analyses.{name}.experiment: {analysis['experiment']!r} is no "
                "experiment with language models"
            )
    return Plan(runs, experiments, datasets)


def planned_experiments(config: dict, results: str) -> dict[str, dict]:
    """The experiments that are enabled and that `only` lets through, with their seeds."""
    enabled = {n: e for n, e in config["experiments"].items() if e.get("enabled", True)}
    only = config["only"]
    if only == "built":  # metrics are the last that is made of an experiment's runs
        only = [name for name in enabled if os.path.isfile(f"{results}/metrics/{name}.csv")]
        if not only:
            raise NoiselabError(f"config key only: nothing is built in {results}")
    unknown = [name for name in only or [] if name not in enabled]
    if unknown:
        known = ", ".join(enabled)
        raise NoiselabError(f"config key only: no enabled experiment {unknown[0]!r} ({known})")
    seeds = {"seeds": config["seeds"]} if config["seeds"] else {}
    return {n: e | seeds for n, e in enabled.items() if only is None or n in only}


def _points(experiment: dict):
    """(seed, source share, batch multiplier or None, noise ratio) of each run asked for; None:
    what `batch_multiplier` says."""
    shares = experiment.get("source_shares", [1])
    multipliers = experiment.get("batch_multipliers", [None])
    return product(experiment["seeds"], shares, multipliers, experiment["noise_ratios"])


def reads_snapshots(experiment: dict) -> bool:
    """Whether an experiment's numbers are those of longer runs on their way (Table 8 as released):
    where a run of fixed total length would end, the learning rate not yet annealed."""
    released = (experiment["protocol"], experiment["budget"]) == ("released", "fixed_total")
    return released and FAMILIES[experiment["family"]].snapshots


def _prolonged(experiment: dict) -> dict:
    """The experiment whose runs have the snapshots, shared with whoever asks for their ends."""
    return experiment | {"budget": "fixed_clean", "protocol": "text"}


def resolve_dataset(definitions: dict, name: str, key: str) -> dict:
    """Specification of data set `name`. `glyphs-N` (N classes) comes from the template `glyphs`,
    and `glyphs-NxM` (M training images per class) from `glyphs-N`, each with its own changes."""
    spec = definitions.get(name)
    match = re.fullmatch(r"glyphs-(\d+)(?:x(\d+))?", name)
    if match:
        of_classes = definitions.get(f"glyphs-{match.group(1)}", {})
        own = {"train_per_class": int(match.group(2))} if match.group(2) else {}
        spec = merge(merge(definitions["glyphs"], of_classes), own | (spec or {}))
        spec["classes"] = int(match.group(1))
    if spec is None or name == "glyphs":
        known = ", ".join([*(d for d in definitions if d != "glyphs"), "glyphs-N"])
        raise NoiselabError(f"config key {key}: unknown data set {name!r} (known: {known})")
    if spec["kind"] in IMAGE_KINDS:
        spec = _with_sizes(spec, name)
    return spec | {"name": name}


def _with_sizes(spec: dict, name: str) -> dict:
    """An image data set with its numbers of images."""
    for split in ("train", "test"):
        if f"{split}_per_class" in spec:
            spec = spec | {f"{split}_size": spec["classes"] * spec[f"{split}_per_class"]}
        if f"{split}_size" not in spec:
            raise NoiselabError(f"config key datasets.{name}: {split}_size is missing")
    return spec


def _run(config, results, experiment, spec, ratio, seed, share, multiplier=None) -> dict:
    family, protocol, dataset = experiment["family"], experiment["protocol"], spec["name"]
    kind = FAMILIES[family]
    recipe = _recipe(config, experiment, spec)
    clean = ratio == 0
    noise = {
        # A clean run is the same run whatever corruption or budget its siblings have.
        "corruption": "none" if clean else experiment["corruption"],
        "resample": "none" if clean else experiment["resample"],
        "budget": "none" if clean else experiment["budget"],
        "noise_ratio": ratio,
        "error_rate": error_rate(ratio),
        "batch_multiplier": multiplier or _batch_multiplier(experiment, recipe, spec, ratio),
    }
    if "wrong_labels" in experiment and not clean:
        noise["wrong_labels"] = experiment["wrong_labels"]
    part = "" if share == 1 else f"-c{100 * share:g}"
    variant = _variant(protocol, experiment.get("training", {}))
    folder = f"{family}/{dataset}"
    run = {
        "run_id": f"{folder}/{_noise_name(noise)}{part}-s{seed}{variant}",
        "clean_run": f"{folder}/clean{part}-s{seed}{variant}",
        "family": family,
        "tier": config["tier"],
        "dataset": dataset,
        "stands_in_for": spec.get("stands_in_for"),
        "data": f"{results}/data/{dataset}",
        **noise,
        "protocol": protocol,
        "seed": seed,
        "model": recipe["model"],
        **kind.facts(spec, recipe),
        "training": _training(
            recipe, kind.clean_examples(spec, recipe), spec, noise, kind.snapshots
        ),
    }
    if family == "seq2seq":
        run["source_share"] = share
    if family == "diffusion":
        run["judge_run"] = f"classifier/{dataset}/clean-s{seed}"
    if run["corruption"] == "teacher":
        run["teacher_run"] = f"{folder}/teacher-s{recipe['teacher']['seed']}{variant}"
        run["teacher_targets"] = f"{results}/runs/{run['teacher_run']}/targets"
    return run


def _teacher(config, results, experiment, spec) -> dict:
    """The noisy teacher (Appendix K.3): a clean run, stopped early, of a seed of its own, so that
    a student shares neither initial weights nor order with it."""
    recipe = _recipe(config, experiment, spec)
    step, seed = recipe["teacher"]["step"], recipe["teacher"]["seed"]
    run = _run(config, results, experiment, spec, 0.0, seed, 1)
    examples = step * recipe["batch_size"]
    run_id = "/teacher".join(run["run_id"].rsplit("/clean", 1))
    training = _training(recipe, examples, spec, run)
    # It writes all validation targets, too: the floor asks which of them are the true ones.
    evaluation = run["evaluation"] | {"generated": None}
    changes = {"run_id": run_id, "clean_run": run_id, "training": training}
    return run | changes | {"evaluation": evaluation}


def _judge(config, results, spec, seed) -> dict:
    """The clean classifier that judges generated images: the clean run of Table 2."""
    experiment = {"family": "classifier", "protocol": "text"}
    return _run(config, results, experiment, spec, 0.0, seed, 1)


def _recipe(config: dict, experiment: dict, spec: dict) -> dict:
    """The family's recipe with the changes of data set, experiment and protocol, in this order."""
    family = experiment["family"]
    recipe = _changed(config[family], spec.get("overrides", {}).get(family, {}))
    recipe = _changed(recipe, experiment.get("training", {}))
    released = recipe.pop("released", {})
    return _changed(recipe, released) if experiment["protocol"] == "released" else recipe


def _changed(recipe: dict, changes: dict) -> dict:
    """A recipe with changes. Another model has none of the settings of the one it replaces."""
    before, after = (part.get("model", {}).get("name") for part in (recipe, changes))
    if after not in (None, before):
        recipe = recipe | {"model": {}}
    return merge(recipe, changes)


IMAGE_KINDS = ("digits", "glyphs", "cifar")  # arrays that fit in memory
FILE_KINDS = ("image_files",)  # decoded on the way
TEXT_KINDS = ("docstrings", "text")
PAIR_KINDS = ("docstring_pairs", "pairs")
LABEL_CORRUPTIONS = ("uniform_label", "shift_label", "label_matrix")


@dataclass(frozen=True)
class Family:
    """What the planning of a family's runs depends on."""

    kinds: tuple[str, ...]  # of data sets
    corruptions: tuple[str, ...]
    facts: Callable[[dict, dict], dict]  # (data set, recipe) -> the family's own keys of a run
    clean_examples: Callable[[dict, dict], float]  # visited by the clean run
    snapshots: bool = False  # prolonged runs keep the weights of where a fixed total would end


FAMILIES = {
    "classifier": Family(
        IMAGE_KINDS,
        LABEL_CORRUPTIONS,
        lambda spec, recipe: {
            "classes": spec["classes"],
            "channels": spec["channels"],
            "augment": {"crop": spec["crop"], "flip": spec["flip"]},
        },
        lambda spec, recipe: recipe["epochs"] * spec["train_size"],
    ),
    "vision_transformer": Family(
        (*IMAGE_KINDS, *FILE_KINDS),
        LABEL_CORRUPTIONS,
        lambda spec, recipe: {
            "classes": spec["classes"],
            "channels": spec["channels"],
            "size": spec["size"],
            "train_size": spec["train_size"],
            "augment": _augmentation(spec, recipe),
            "label_smoothing": recipe["label_smoothing"],
            "evaluation": recipe["evaluation"],
        },
        lambda spec, recipe: (
            recipe["steps"] * recipe["batch_size"]
            if recipe["steps"]
            else recipe["epochs"] * spec["train_size"]
        ),
        snapshots=True,
    ),
    "diffusion": Family(
        IMAGE_KINDS,
        ("uniform_label",),
        lambda spec, recipe: {
            "classes": spec["classes"],
            "channels": spec["channels"],
            "size": spec["size"],
            "augment": {"crop": 0, "flip": spec["flip"]},
            "evaluation": recipe["evaluation"],
        },
        lambda spec, recipe: recipe["epochs"] * spec["train_size"],
    ),
    "language_model": Family(
        TEXT_KINDS,
        ("uniform_token",),
        lambda spec, recipe: {
            "vocabulary": spec["vocabulary"],
            "evaluation": recipe["evaluation"],
        },
        lambda spec, recipe: recipe["steps"] * recipe["batch_size"],
    ),
    "seq2seq": Family(
        PAIR_KINDS,
        ("teacher",),
        lambda spec, recipe: {
            "vocabulary": spec["vocabulary"],
            "source_length": spec["source_length"],
            "target_length": spec["target_length"],
            "symbols": recipe["symbols"],
            "selection": recipe["selection"],
            "evaluation": recipe["evaluation"] | {"score": spec["score"]},
        },
        lambda spec, recipe: recipe["steps"] * recipe["batch_size"],
    ),
}


def _check_source(config: dict, spec: dict) -> None:
    """Data that no hub has, or that several folders hold, must lie in a local folder."""
    of_hub = spec["kind"] in ("text", "pairs", *FILE_KINDS)
    parts, outside = spec.get("parts") or [], spec.get("out_of_domain")
    local = not spec.get("hub") or parts or outside
    if of_hub and local and config["data"]["root"] is None:
        folders = [part["folder"] for part in parts] or [spec.get("source") or spec["name"]]
        folders += [outside["folder"]] if outside else []
        raise NoiselabError(
            f"config key data.root: must be set for data set {spec['name']}, which is not "
            f"downloaded: to the folder that holds {', '.join(f'{f}/' for f in folders)}"
        )


def _augmentation(spec: dict, recipe: dict) -> dict:
    """What training does to an image: files are cut to a random part and go through RandAugment,
    small images in memory are shifted."""
    if spec["kind"] in FILE_KINDS:
        return {"flip": spec["flip"]} | {k: recipe[k] for k in ("crop_scale", "randaugment")}
    return {"crop": spec["crop"], "flip": spec["flip"]}


def _check_family(name: str, experiment: dict, spec: dict) -> None:
    """Corruption and data set must be those of the family."""
    family = FAMILIES[experiment["family"]]
    if experiment["corruption"] not in family.corruptions:
        raise NoiselabError(
            f"config key experiments.{name}.corruption: {experiment['corruption']} is not for "
            f"a {experiment['family']} (known: {', '.join(family.corruptions)})"
        )
    if spec["kind"] not in family.kinds:
        raise NoiselabError(
            f"config key experiments.{name}.datasets: {spec['name']} is not for "
            f"a {experiment['family']}"
        )
    if ("wrong_labels" in experiment) != (experiment["corruption"] == "label_matrix"):
        raise NoiselabError(
            f"config key experiments.{name}.wrong_labels: the path of a csv file, for corruption "
            "label_matrix and no other"
        )
    if experiment["corruption"] == "teacher" and experiment["resample"] != "fixed":
        raise NoiselabError(
            f"config key experiments.{name}.resample: a teacher's targets are made once: fixed"
        )
    if {"batch_multiplier", "batch_multipliers"} <= set(experiment):
        raise NoiselabError(
            f"config key experiments.{name}.batch_multipliers: not together with batch_multiplier"
        )
    if "source_shares" in experiment and experiment["family"] != "seq2seq":
        raise NoiselabError(
            f"config key experiments.{name}.source_shares: a {experiment['family']} has no source"
        )


def _wrong_labels(name: str, experiment: dict, spec: dict) -> dict:
    """Path and SHA-256 of an experiment's matrix of wrong labels, which must suit the data set."""
    path, key = experiment["wrong_labels"], f"config key experiments.{name}.wrong_labels"
    try:
        rows, sha256 = read_matrix(path)
    except NoiselabError as error:
        raise NoiselabError(f"{key}: {error}") from error
    if mistake := _mistake(rows, spec["classes"]):
        raise NoiselabError(f"{key}: {path} {mistake} (data set {spec['name']})")
    return {"path": path, "sha256": sha256}


def _mistake(rows: list[list[float]], classes: int) -> str | None:
    """Why a matrix cannot be W of `label_matrix`: rows of the true class, C x C."""
    columns = sorted({len(row) for row in rows})
    if (len(rows), columns) != (classes, [classes]):
        found = f"has {len(rows)} rows of {' or '.join(map(str, columns)) or 0} columns"
        return f"{found}, but {classes} classes need as many of both"
    for label, row in enumerate(rows):
        if impossible := [number for number in row if not 0 <= number <= 1]:
            return f"has {impossible[0]:g} in the row of class {label}: no probability"
        if row[label] != 0:
            return f"lets class {label} stay what it is: the diagonal must be 0"
        if abs(sum(row) - 1) > 1e-6:
            return f"has {sum(row):.8g}, not 1, as the sum of the row of class {label}"
    return None


def _batch_multiplier(experiment: dict, recipe: dict, spec: dict, ratio: float) -> int:
    """k of the experiment, or of the protocol, at this noise ratio: batch x k, steps / k."""
    of_experiment = experiment.get("batch_multiplier", {})
    if any(isinstance(k, dict) for k in of_experiment.values()):  # one map per data set
        of_experiment = of_experiment.get(spec["name"], {})
    chosen = recipe.get("batch_multiplier", {}) | of_experiment
    return {float(r): k for r, k in chosen.items()}.get(ratio, 1)


def _noise_name(noise: dict) -> str:
    multiplier = f"-b{noise['batch_multiplier']}" if noise["batch_multiplier"] != 1 else ""
    if noise["corruption"] == "none":
        return f"clean{multiplier}"
    always_fixed = noise["corruption"] == "teacher"
    fixed = "-fixed" if noise["resample"] == "fixed" and not always_fixed else ""
    matrix = f"-{noise['wrong_labels']['sha256'][:6]}" if "wrong_labels" in noise else ""
    ratio = noise["noise_ratio"]
    digits = f"{ratio:.2f}" if round(ratio, 2) == ratio else f"{ratio:g}"
    return f"{noise['corruption']}{matrix}{fixed}-r{digits}-{noise['budget']}{multiplier}"


def _variant(protocol: str, changes: dict) -> str:
    """Suffix of the run id where a run is not the family's ordinary one."""
    suffix = "" if protocol == "text" else f"-{protocol}"
    return suffix + (f"-x{digest(changes)[:6]}" if changes else "")


def _training(
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
