"""Runs of probes: a task, a head and a backbone each, which is a run of another experiment."""

from collections.abc import Iterator

from noiselab.data.kinds import LABELLED_KINDS, is_numeric
from noiselab.errors import NoiselabError
from noiselab.families import FAMILIES
from noiselab.families.descriptor import BACKBONE, CLEAN, IMAGES, TEXTS, Family
from noiselab.families.pretrained.family import NAME as PRETRAINED
from noiselab.files import digest
from noiselab.planning.hints import hint
from noiselab.planning.recipes import recipe, training
from noiselab.run import Run

KEYS = ("enabled", "family", "backbone", "datasets", "seeds", "training")
CLEANLY = {  # a task's labels are all right; the noise is the backbone's
    "corruption": "none",
    "resample": "none",
    "budget": "none",
    "noise_ratio": 0.0,
    "error_rate": 0.0,
    "batch_multiplier": 1,
}
OF_BACKBONE = ("run_id", "family", "dataset", "stands_in_for", "corruption", "resample", "budget")
OF_BACKBONE += ("noise_ratio", "error_rate", "seed", "model")


def check(name: str, experiment: dict, spec: dict) -> None:
    """A probe has no keys of noise, and its data sets are tasks, of classes unless its family says
    otherwise."""
    key, family = f"config key experiments.{name}", FAMILIES[experiment["family"]]
    if foreign := [k for k in experiment if k not in (*KEYS, *family.experiment)]:
        what = f"not of a {family.name}; the noise is its backbone's"
        raise NoiselabError(f"{key}.{foreign[0]}: {what}")
    if spec["kind"] not in family.kinds:
        raise NoiselabError(f"{key}.datasets: {spec['name']} is not for a {family.name}")
    if is_numeric(spec) and not family.numeric:
        others = " or ".join(other.name for other in FAMILIES.values() if other.numeric)
        raise NoiselabError(
            f"{key}.datasets: {spec['name']} asks for a number, and a {family.name} decides "
            f"between classes; family {others} takes it"
        )


def backbone(config: dict, name: str, experiment: dict) -> tuple[str, dict]:
    """Name and content of the experiment whose runs are probed. NoiselabError: there is none, or
    its family has no features for probes."""
    key, chosen = f"config key experiments.{name}", experiment["backbone"]["experiment"]
    families = FAMILIES[experiment["family"]].backbones
    known = [n for n, e in config["experiments"].items() if e["family"] in families]
    if chosen not in known:
        raise NoiselabError(
            f"{key}.backbone.experiment: no experiment {chosen!r} whose models have features "
            f"({hint(chosen, known)})"
        )
    return chosen, config["experiments"][chosen]


def chosen_backbones(experiment: dict, trained: list[Run]) -> list[Run]:
    """Those runs of its backbone's experiment that an experiment is about."""
    chosen = experiment["backbone"]
    clean, seeds = chosen.get("clean"), chosen.get("seeds")
    found = [run for run in trained if run.corruption == "none"] if clean else trained
    return [run for run in found if seeds is None or run.seed in seeds]


def probes(
    config: dict, results: str, name: str, experiment: dict, spec: dict, backbones: list[Run]
) -> Iterator[Run]:
    """The probes of an experiment on one task. NoiselabError: it is no task for these backbones."""
    family, key = FAMILIES[experiment["family"]], f"config key experiments.{name}"
    for trained in backbones:
        if mistake := _mistake(trained, spec):
            raise NoiselabError(f"{key}.datasets: {mistake}")
        for head in experiment.get("heads", list(family.models)):
            run = _probe(config, results, experiment, spec, trained, head)
            if _items(spec) == IMAGES and run.features["kind"] != "last":
                raise NoiselabError(
                    f"{key}.training.features.kind: {spec['name']} has images, whose only features "
                    "are those of kind last"
                )
            yield run


def _items(spec: dict) -> str:
    """What the items of a task are."""
    return TEXTS if spec["kind"] in LABELLED_KINDS else IMAGES


def _mistake(trained: Run, spec: dict) -> str | None:
    """Why a backbone cannot see the items of a task, or None. Of one that was trained elsewhere the
    channels are not known, and its layout was looked at already."""
    items = _items(spec)
    if items not in FAMILIES[trained.family].features:
        return f"{spec['name']} has {items}, which {trained.run_id} cannot see"
    # Grey is seen as coloured.
    if items == IMAGES and spec["channels"] not in (1, trained.get("channels", spec["channels"])):
        return (
            f"{spec['name']} has images of {spec['channels']} channels, {trained.run_id} sees "
            f"{trained.channels}"
        )
    return None


def _probe(
    config: dict, results: str, experiment: dict, spec: dict, trained: Run, head: str
) -> Run:
    family, changes = FAMILIES[experiment["family"]], experiment.get("training", {})
    own = recipe(config, experiment | {"protocol": "text"}, spec)
    variant = f"-x{digest(changes)[:6]}" if changes else ""
    run_id = f"{family.name}/{spec['name']}/{_place(trained, family, spec)}-{head}{variant}"
    content = {
        "run_id": run_id,
        "parents": {CLEAN: run_id, BACKBONE: trained.run_id},
        "family": family.name,
        "tier": config["tier"],
        "dataset": spec["name"],
        "stands_in_for": spec.get("stands_in_for"),
        "data": f"{results}/data/{spec['name']}",
        **CLEANLY,
        "protocol": "text",
        "seed": trained.seed,
        "seeds": experiment["seeds"],
        "model": own["model"] | {"name": head},
        "head": head,
        **family.facts(spec, own),
        "backbone": {key: trained[key] for key in OF_BACKBONE} | {"noise": noise_label(trained)},
        "training": training(own, family.clean_examples(spec, own), spec, CLEANLY),
    }
    return Run.from_content(content)


def _place(trained: Run, family: Family, spec: dict) -> str:
    """What a backbone is called in the ids of its probes. The first family of `backbones` that has
    features of such items is not named."""
    if trained.family == PRETRAINED:  # whose run is called after the task
        return f"{PRETRAINED}.{trained.model['name']}"
    usual = next(name for name in family.backbones if _items(spec) in FAMILIES[name].features)
    place = trained.run_id.removeprefix(f"{usual}/")
    return place.replace("/", ".")


def noise_label(trained: Run) -> str:
    """What the noise of a backbone is called; of one that was trained elsewhere, its name."""
    if trained.family == PRETRAINED:
        return trained.model["name"]
    if trained.corruption == "none":
        return "clean"
    rate = trained.error_rate
    share = "as given" if rate is None else f"{100 * rate:.3g} %"
    return f"{trained.corruption.replace('_', ' ')}, {share}"
