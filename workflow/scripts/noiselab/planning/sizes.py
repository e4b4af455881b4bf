"""Sizes of data sets, prepared or not."""

from pathlib import Path

from noiselab.data.kinds import (
    ALGORITHMIC_KINDS,
    FILE_KINDS,
    IMAGE_KINDS,
    LABELLED_KINDS,
    TEXT_KINDS,
)
from noiselab.families.work import Data
from noiselab.files import read_json


def data_size(spec: dict, folder: Path, assumed: dict) -> Data:
    """Size of a data set: of the prepared arrays where `folder` has them, else from its
    specification and what is assumed of texts and pairs (by name, or else by kind)."""
    described = folder / "dataset.json"
    facts = read_json(described) if described.is_file() else {}
    guess = assumed.get(spec["name"], assumed.get(spec["kind"]))
    if spec["kind"] in (*IMAGE_KINDS, *FILE_KINDS, *ALGORITHMIC_KINDS):
        size = Data(spec["train_size"], spec["test_size"], image=spec["size"])
    elif spec["kind"] in LABELLED_KINDS:
        size = Data(spec["train_size"], spec["test_size"])
    elif spec["kind"] in TEXT_KINDS:
        size = Data(*(facts.get(f"{s}_tokens", guess[s]) for s in ("train", "validation")))
    else:
        size = _pairs_size(spec, facts, guess)
    held = sum(file.stat().st_size for file in folder.glob("*")) if facts else _bytes(spec, size)
    return size._replace(bytes=held)


def _pairs_size(spec: dict, facts: dict, guess: dict) -> Data:
    counts = (
        facts.get(f"{split}_size", spec[f"{split}_size"] or guess[split])
        for split in ("train", "validation")
    )
    means = facts.get("mean_length", {})
    lengths = (
        means.get(f"train_{side}", min(guess[side], spec[f"{side}_length"]))
        for side in ("source", "target")
    )
    return Data(*counts, *lengths)


def _bytes(spec: dict, size: Data) -> float:
    """Bytes of arrays that are not there yet: uint8 pixels, uint16 tokens, int64 offsets."""
    examples = size.train + size.validation
    if spec["kind"] in (*IMAGE_KINDS, *ALGORITHMIC_KINDS):
        return examples * spec["channels"] * spec["size"] ** 2
    if spec["kind"] in FILE_KINDS:  # JPEGs of half a byte per pixel, 4 : 3
        return examples * 0.5 * (spec["resize"] or spec["size"]) ** 2 * 4 / 3
    if spec["kind"] in TEXT_KINDS:
        return 2 * examples
    if spec["kind"] in LABELLED_KINDS:  # sentences, packed
        return 60 * examples
    return examples * (2 * (size.source + size.target) + 2 * 8)
