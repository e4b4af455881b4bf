"""Ids of runs: readable, and made of what tells a run from its siblings."""

from noiselab.files import digest
from noiselab.noise.registry import CORRUPTIONS
from noiselab.planning.rates import Rate


def annotator_id(family: str, dataset: str, annotator: dict) -> str:
    """Id of the classifier that confuses labels. annotator: its share and seed."""
    return "{}/{}/annotator{share:g}-s{seed}".format(family, dataset, **annotator)


def noise_name(noise: dict, rate: Rate) -> str:
    """The part of an id that says the noise. noise: what run.json says of it."""
    multiplier = f"-b{noise['batch_multiplier']}" if noise["batch_multiplier"] != 1 else ""
    if "learning_rate_multiplier" in noise:
        multiplier += f"-l{noise['learning_rate_multiplier']:g}"
    if noise["corruption"] == "none":
        return f"clean{multiplier}"
    corruption = CORRUPTIONS[noise["corruption"]]
    choice = len(corruption.resamples) > 1
    fixed = "-fixed" if noise["resample"] == "fixed" and choice else ""
    kind = f"{noise['corruption']}{corruption.variant(noise)}{fixed}"
    return f"{kind}{rate.label}-{noise['budget']}{multiplier}"


def variant(protocol: str, changes: dict) -> str:
    """Suffix of an id where a run is not the family's ordinary one."""
    suffix = "" if protocol == "text" else f"-{protocol}"
    return suffix + (f"-x{digest(changes)[:6]}" if changes else "")


def teacher_targets(results: str, teacher: str) -> str:
    """Path, without endings, of what a teacher wrote for the training pairs."""
    return f"{results}/runs/{teacher}/targets"
