"""Texts with a class or a number each, as a language model is asked for it: tasks.

A prepared folder has `texts.parquet`, a row per text: `split` (train, test, and validation where
the data set has one), `text`, the prompt with the columns of the data set filled in, `label`, int64
from 0 on, or a float64 where the target is a number; and `dataset.json`: name, kind, origin,
classes, class_names, prompt, texts of each split, share of each class among those for training,
what differs from the usual splits, how many texts for tests are texts for training, too (copies),
SHA-256 of the file. In place of what it says of classes stand
target_range, and target_mean and target_std of the texts for training, where the target is a
number. Written last, it says the rest is whole.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow
import pyarrow.parquet

from noiselab import streams
from noiselab.data import complete, copies, labelled_docstrings, text_files, text_sources
from noiselab.data.kinds import LABELLED, is_numeric
from noiselab.errors import NoiselabError, first_line
from noiselab.files import read_json, sha256, whole_file, write_json

SPLITS = ("train", "validation", "test")
_COLUMN = re.compile(r"\{(\w+)\}")  # in a prompt
_WHOLE = re.compile(r"[+-]?\d+")

Row = tuple[str, str | int | float]  # a text, and its label as the source has it


class Labelled(NamedTuple):
    """Texts of a split and their labels, int64 [n], or float64 [n] where these are numbers."""

    texts: list[str]
    labels: np.ndarray


def read(folder: str | Path) -> tuple[dict, dict[str, Labelled]]:
    """dataset.json, and the texts of each split that there is. NoiselabError names what is missing
    or broken."""
    folder = Path(folder)
    description, file = read_json(folder / "dataset.json"), folder / LABELLED[0]
    try:
        table = pyarrow.parquet.read_table(file, columns=["split", "text", "label"]).to_pydict()
    except (OSError, pyarrow.ArrowException) as error:
        raise NoiselabError(f"{file}: cannot be read ({first_line(error)})") from error
    kind = np.float64 if is_numeric(description) else np.int64
    of_split, labels = np.array(table["split"]), np.array(table["label"], dtype=kind)
    found = {}
    for split in SPLITS:
        rows = np.flatnonzero(of_split == split)
        if len(rows) != description.get(f"{split}_size", 0):
            raise NoiselabError(
                f"{file}: {len(rows)} texts in {split}, dataset.json says otherwise"
            )
        if len(rows):
            found[split] = Labelled([table["text"][i] for i in rows], labels[rows])
    return description, found


def prepare(spec: dict, source: Path | None, out: Path) -> None:
    """Fill the texts that `spec` asks for into its prompt, and write them into the folder `out`.

    source: folder of files (kind labelled_texts). NoiselabError: they cannot be read, a split is
    smaller than asked for, there are other classes, or a target is no number of target_range.
    """
    embedded = spec["kind"] == "labelled_docstrings"
    splits, origin = _embedded(spec) if embedded else _files(spec, source)
    labels, facts = (_numbers if is_numeric(spec) else _classes)(spec, splits)
    table = {
        "split": [split for split, rows in splits.items() for _ in rows],
        "text": [text for rows in splits.values() for text, _ in rows],
        "label": labels,
    }
    with whole_file(out / LABELLED[0]) as path:
        pyarrow.parquet.write_table(pyarrow.table(table), path)
    content = {key: spec[key] for key in ("name", "kind", "prompt")}
    content |= {f"{split}_size": len(rows) for split, rows in splits.items()}
    content |= {
        "origin": origin,
        "unit": "texts",
        **facts,
        "copies": copies.count(
            spec["name"], "texts", *([text for text, _ in splits[s]] for s in ("train", "test"))
        ),
        "differs": spec.get("differs"),
        "sha256": {LABELLED[0]: sha256(out / LABELLED[0])},
    }
    write_json(out / "dataset.json", content)


def _classes(spec: dict, splits: dict[str, list[Row]]) -> tuple[list[int], dict]:
    """Numbers of the classes of all rows, and what dataset.json says of the classes. NoiselabError:
    there are not as many as `spec` says."""
    _check_labels(spec, splits)
    labels = {label for rows in splits.values() for _, label in rows}
    # In the order of their numbers: as numbers, or else as words.
    found = sorted(labels, key=lambda label: (isinstance(label, str), label))
    if len(found) != spec["classes"]:
        raise NoiselabError(
            f"config key datasets.{spec['name']}.classes: {spec['classes']}, but the texts have "
            f"{len(found)} labels ({', '.join(map(str, found[:5]))} …)"
        )
    numbers = {name: number for number, name in enumerate(found)}
    counts = Counter(label for _, label in splits["train"])
    return [numbers[label] for rows in splits.values() for _, label in rows], {
        "classes": spec["classes"],
        "class_names": [str(name) for name in found],
        "class_shares": [counts[name] / len(splits["train"]) for name in found],
    }


def _check_labels(spec: dict, splits: dict[str, list[Row]]) -> None:
    """NoiselabError: a split has a label that no text for training has, which nothing can learn."""
    known = {label for _, label in splits["train"]}
    for split, rows in splits.items():
        if other := {label for _, label in rows} - known:
            raise NoiselabError(
                f"config key datasets.{spec['name']}.train_size: {split} texts have label "
                f"{min(other, key=str)!r}, which none of the {len(splits['train'])} training texts "
                "has; take more of these, or leave that label out of the files"
            )


def _numbers(spec: dict, splits: dict[str, list[Row]]) -> tuple[list[float], dict]:
    """Targets of all rows, and what dataset.json says of them. NoiselabError: a split has the same
    target everywhere, with which nothing correlates."""
    for split, rows in splits.items():
        if len({target for _, target in rows}) == 1:
            raise NoiselabError(
                f"config key datasets.{spec['name']}.label_column: {spec['label_column']} is "
                f"{rows[0][1]:g} in all {len(rows)} texts of {split}, so that nothing can "
                "correlate with it"
            )
    train = np.array([target for _, target in splits["train"]])
    return [target for rows in splits.values() for _, target in rows], {
        "target_range": spec["target_range"],
        "target_mean": float(train.mean()),
        "target_std": float(train.std()),
    }


def _chosen(spec: dict, rows: list[Row], sizes: dict[str, int]) -> dict[str, list[Row]]:
    """Seeded subsets of these sizes, one after the other. Copies of a text stay together, so that
    what is tested is not trained on: those that do not fit whole are left for the next subset, and
    the last alone may leave some out. NoiselabError: there are too few rows."""
    key = f"config key datasets.{spec['name']}."
    if len(rows) < sum(sizes.values()):
        raise NoiselabError(
            f"{key}{next(reversed(sizes))}_size: {sum(sizes.values())} texts are asked for, but "
            f"there are only {len(rows)}"
        )
    rest, found = _groups(rows), {}
    for split, size in sizes.items():
        last = len(found) == len(sizes) - 1
        taken: list[int] = []
        left: list[list[int]] = []
        for group in rest:
            fits = last or len(taken) + len(group) <= size
            (taken.extend if fits else left.append)(group)
        if len(taken) < size:
            raise NoiselabError(
                f"{key}{split}_size: {size} texts are asked for, but copies of a text stay "
                f"together, and only {len(taken)} fit; choose another size"
            )
        found[split], rest = [rows[i] for i in sorted(taken[:size])], left
    return found


def _groups(rows: list[Row]) -> list[list[int]]:
    """Places of the rows of each text, the texts in an order that is random and fixed."""
    places: dict[str, list[int]] = {}
    for i, (text, _) in enumerate(rows):
        places.setdefault(text, []).append(i)
    groups = list(places.values())
    return [groups[i] for i in streams.permutation(0, "labelled-texts", 0, len(groups))]


# --------------------------------------------------------------------------- docstrings


def _embedded(spec: dict) -> tuple[dict[str, list[Row]], str]:
    """Docstrings by split, and their origin."""
    found = labelled_docstrings.sentences(spec["packages"], spec["label"], spec["classes"])
    rows = [(_filled(spec["prompt"], {"text": text}), label) for text, label in found]
    packages = ", ".join(map(text_sources.version, spec["packages"]))
    sizes = {split: spec[f"{split}_size"] for split in ("test", "train")}
    return _chosen(spec, rows, sizes), f"docstrings of {packages}, by {spec['label']}"


def _filled(prompt: str, values: dict[str, str]) -> str:
    """A prompt with the values of a row."""
    return _COLUMN.sub(lambda match: values[match[1]], prompt)


# -------------------------------------------------------------------------------- files


def _files(spec: dict, source: Path) -> tuple[dict[str, list[Row]], str]:
    """Rows of files by split, and their origin."""
    files = _of_splits(spec, source)
    rows = {split: list(_rows(spec, found)) for split, found in files.items()}
    sizes = {split: spec[f"{split}_size"] for split in ("test", "train")}
    if "test" in rows:
        found = {split: _chosen(spec, rows[split], {split: sizes[split]})[split] for split in sizes}
    else:
        found = _chosen(spec, rows["train"], sizes)
    found |= {"validation": rows["validation"]} if "validation" in rows else {}
    return found, f"{spec['name']} read from {source.name}"


def _of_splits(spec: dict, source: Path) -> dict[str, list[Path]]:
    """The files of each split that has any. NoiselabError: a glob matches none, or two splits have
    the same."""
    folder = source / (spec.get("hub_folder") or "")
    folder = folder if folder.is_dir() else source
    there = text_files.files(folder, text_files.TABLES)
    found: dict[str, list[Path]] = {}
    for split in SPLITS:
        key = f"{split}_files"
        if pattern := spec.get(key):
            found[split] = text_files.matching(there, folder, pattern)
            if not found[split]:
                raise NoiselabError(f"{folder}: no table matches {key} {pattern!r}")
    every = [file for files in found.values() for file in files]
    if twice := [file for file in every if every.count(file) > 1]:
        raise NoiselabError(f"{twice[0]}: two splits name it")
    return found


def _rows(spec: dict, files: list[Path]) -> Iterator[Row]:
    """The rows of files, but those without a text or a label."""
    columns = [*columns_named(spec["prompt"]), spec["label_column"]]
    for file in files:
        for place, (*values, label) in text_files.placed_rows(file, columns):
            text_files.check_text(file, place, columns[:-1], values)
            if label is None or not any(value and not value.isspace() for value in values):
                continue
            if isinstance(label, str) and not label.strip():
                continue  # an empty cell of a csv file
            try:
                found = _target(label, spec["target_range"]) if is_numeric(spec) else _class(label)
            except ValueError as error:
                raise NoiselabError(f"{file}: column {columns[-1]} {error} ({place})") from error
            filled = dict(zip(columns, (value or "" for value in values), strict=False))
            yield _filled(spec["prompt"], filled), found


def _class(label) -> str | int:
    """A label as a number where it is one, since tables of text have no others, or else without the
    space around it. ValueError: it is neither text nor a whole number."""
    if not isinstance(label, str | int):
        raise ValueError("is neither text nor a whole number; target_range is for numbers")
    if isinstance(label, int):
        return label
    return int(label) if _WHOLE.fullmatch(label.strip()) else label.strip()


def _target(label, limits: list[float]) -> float:
    """A label that is a number. ValueError: it is none, is not finite, or outside of the limits,
    which belong to the range."""
    try:
        number = float(label)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"is no number, but {str(label)[:40]!r}") from error
    if isinstance(label, bool):  # of which float() makes 0 or 1
        raise ValueError(f"is no number, but {label}")
    if not math.isfinite(number):
        raise ValueError(f"is {number}, which is no finite number")
    low, high = limits
    if not low <= number <= high:
        raise ValueError(f"is {number:g}, outside of target_range, {low:g} to {high:g}")
    return number


def columns_named(prompt: str) -> Sequence[str]:
    """Columns that a prompt names in braces, each once."""
    return list(dict.fromkeys(_COLUMN.findall(prompt)))


def check(spec: dict, source: Path) -> complete.Source:
    """What `source` has of the data set; each file is opened, none is read. NoiselabError where
    prepare() would not find in it what it needs."""
    files = [file for found in _of_splits(spec, source).values() for file in found]
    for file in files:
        text_files.check_file(file, [*columns_named(spec["prompt"]), spec["label_column"]])
    return complete.parts(files)


# -------------------------------------------------------------------------------- download


def download(spec: dict, folder: Path) -> None:
    """Fetch the data set's folder in its repository on the Hugging Face hub."""
    text_sources.snapshot(spec["hub"], _patterns(spec), folder)


def available(spec: dict, timeout: float) -> int:
    """Bytes that download() would fetch; asks the hub."""
    return text_sources.snapshot_bytes(spec["hub"], _patterns(spec), timeout)


def _patterns(spec: dict) -> list[str]:
    folder = spec.get("hub_folder")
    patterns = text_files.patterns(text_files.TABLES)
    return [f"{folder}/{pattern}" if folder else pattern for pattern in patterns]
