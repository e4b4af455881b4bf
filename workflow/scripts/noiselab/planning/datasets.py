"""Data sets as the configuration has them: their specifications, complete and checked."""

from noiselab.data.kinds import (
    ALGORITHMIC_KINDS,
    DOMAINS,
    FILE_KINDS,
    FOUND_KINDS,
    IMAGE_KINDS,
    KINDS,
)
from noiselab.errors import NoiselabError
from noiselab.planning.config import merge
from noiselab.planning.hints import hint
from noiselab.planning.unused import GLYPHS


def resolve_dataset(definitions: dict, name: str, key: str) -> dict:
    """Specification of data set `name`. `glyphs-N` (N classes) comes from the template `glyphs`,
    and `glyphs-NxM` (M training images per class) from `glyphs-N`, each with its own changes."""
    spec = definitions.get(name)
    match = GLYPHS.fullmatch(name)
    if match:
        of_classes = definitions.get(f"glyphs-{match.group(1)}", {})
        own = {"train_per_class": int(match.group(2))} if match.group(2) else {}
        spec = merge(merge(definitions["glyphs"], of_classes), own | (spec or {}))
        spec["classes"] = int(match.group(1))
        if spec["classes"] < 2:
            raise NoiselabError(f"config key {key}: {name} has one class; there must be 2 or more")
    if spec is None or name == "glyphs":
        known = hint(name, ["glyphs-N", *(d for d in definitions if d != "glyphs")])
        raise NoiselabError(f"config key {key}: unknown data set {name!r} ({known})")
    if spec["kind"] in IMAGE_KINDS and spec["kind"] not in FOUND_KINDS:
        spec = _with_sizes(spec, name)
    if spec["kind"] in ALGORITHMIC_KINDS:
        spec = _of_a_rule(spec, name)
    return spec | {"name": name}


def _with_sizes(spec: dict, name: str) -> dict:
    """An image data set with its numbers of images."""
    for split in ("train", "test"):
        if f"{split}_per_class" in spec:
            spec = spec | {f"{split}_size": spec["classes"] * spec[f"{split}_per_class"]}
        if f"{split}_size" not in spec:
            raise NoiselabError(f"config key datasets.{name}: {split}_size is missing")
    return spec


def _of_a_rule(spec: dict, name: str) -> dict:
    """An algorithmic data set with what follows from it: classes, letters (of the alphabet), sizes,
    and `noised`, the tokens of an example that noise may change, which come first."""
    if spec["kind"] == "modular_addition":
        modulus = spec["modulus"]
        train = round(spec["train_share"] * modulus**2)
        sizes = {"train_size": train, "test_size": modulus**2 - train}
        found = {"classes": modulus, "letters": modulus + 1, "channels": 3, "noised": 2} | sizes
    else:
        found = {"classes": 2, "letters": 2, "channels": spec["bits"], "noised": spec["bits"]}
        if spec["relevant"] > spec["bits"]:
            raise NoiselabError(
                f"config key datasets.{name}.relevant: {spec['relevant']} of {spec['bits']} bits"
            )
        if (cases := spec["train_size"] + spec["test_size"]) > 2 ** spec["bits"]:
            raise NoiselabError(
                f"config key datasets.{name}.bits: {spec['bits']} bits have {2 ** spec['bits']} "
                f"cases, but train_size and test_size ask for {cases}; choose more bits"
            )
    return {**spec, **found, "size": 1}


def is_real(spec: dict) -> bool:
    """Whether a data set has to be downloaded or found in a local folder."""
    return KINDS[spec["kind"]].download is not None


def source_folder(spec: dict) -> str:
    """Name of a real data set's folder below data.root; subsets share one."""
    return spec.get("source") or spec["name"]


def domains(spec: dict) -> list[dict]:
    """The texts out of a data set's domain, as its specification has them."""
    return [spec[domain] for domain in DOMAINS if spec.get(domain)]


def check_source(config: dict, spec: dict) -> None:
    """Data that no hub has, or that several folders hold, must lie in a local folder."""
    of_hub = spec["kind"] in ("text", "pairs", "labelled_texts", *FILE_KINDS, *FOUND_KINDS)
    parts = [*(spec.get("parts") or []), *(spec.get("tokenizer_parts") or [])]
    outside = [d["folder"] for d in domains(spec) if "folder" in d]
    local = not spec.get("hub") or parts or outside
    if of_hub and local and config["data"]["root"] is None:
        folders = [part["folder"] for part in parts] or [source_folder(spec)]
        folders += outside
        raise NoiselabError(
            f"config key data.root: must be set for data set {spec['name']}, which is not "
            f"downloaded: to the folder that holds {', '.join(f'{f}/' for f in folders)}"
        )
