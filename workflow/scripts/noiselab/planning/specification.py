"""Specifications of data sets as scripts get them: JSON on the command line.

Those of a plan are checked already; these may have been written by hand.
"""

import json
from collections.abc import Callable
from typing import NoReturn

from noiselab.data.kinds import ALGORITHMIC_KINDS, KINDS, LABELLED_KINDS, PAIR_KINDS, TEXT_KINDS
from noiselab.errors import NoiselabError
from noiselab.planning import checks, config
from noiselab.planning.hints import hint

_FOUND = ("name", "contents", "pixels", "grey", "mixed", "letters", "noised")  # that planning adds
_ARRAYS = ("classes", "channels", "size", "train_size", "test_size")
_TEXT = ("tokenizer", "vocabulary", "validation_share")
_PAIRS = ("vocabulary", "source_length", "target_length", "train_size", "validation_size")
_PAIRS += ("validation_share",)
_LABELLED = ("prompt", "train_size", "test_size")
_EMBEDDED = ("packages", "tokenizer_packages", "source_field", "label")  # that say nothing of files
# What a preparation cannot do without, though it may be null where the schema says so.
_NEEDED = {
    "digits": _ARRAYS,
    "glyphs": _ARRAYS,
    "cifar": _ARRAYS,
    "image_files": ("classes", "size", "train_size", "test_size"),
    "docstrings": (*_TEXT, "packages"),
    "text": _TEXT,
    "docstring_pairs": (*_PAIRS, "packages", "source_field"),
    "pairs": (*_PAIRS, "source_column", "target_column", "train_files", "validation_files"),
    "modular_addition": (*_ARRAYS, "letters", "noised", "modulus"),
    "sparse_parity": (*_ARRAYS, "letters", "noised", "bits", "relevant"),
    "labelled_docstrings": (*_LABELLED, "packages", "label"),
    "labelled_texts": (*_LABELLED, "label_column", "train_files"),
}


def specification(rule: str) -> Callable[[str], dict]:
    """How the argument --spec of a rule's script is read: JSON -> the specification.
    NoiselabError: it is no JSON, of a kind that the rule is not for, or lacks what a preparation
    needs, or a value is not what config/schema.yaml says."""
    kinds = [name for name, kind in KINDS.items() if rule in (kind.rule, kind.download)]

    def read(text: str) -> dict:
        spec = _parsed(text)
        if not isinstance(spec, dict):
            raise NoiselabError("--spec: must be a JSON object, such as a plan has of a data set")
        name, kind = spec.get("name"), spec.get("kind")
        if not (isinstance(name, str) and name):
            raise NoiselabError("--spec: name, of the data set, must be a text")
        if kind not in kinds:
            raise NoiselabError(
                f"--spec: kind {kind!r} is none for this script ({hint(kind, kinds)})"
            )
        _check(spec, name, kind)
        return spec

    return read


def _parsed(text: str):
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except RecursionError as error:
        raise NoiselabError("--spec: not valid JSON (nested too deep)") from error
    except ValueError as error:
        raise NoiselabError(f"--spec: not valid JSON ({error})") from error


def _once(pairs: list[tuple[str, object]]) -> dict:
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise NoiselabError(f"--spec: key {twice[0]} is there twice")
    return dict(pairs)


def _refuse(constant: str) -> NoReturn:
    raise NoiselabError(f"--spec: {constant} is no finite number")


def _check(spec: dict, name: str, kind: str) -> None:
    key, needed = f"config key datasets.{name}", _NEEDED.get(kind, ())
    if lacking := [k for k in needed if k not in spec]:
        raise NoiselabError(f"{key}.{lacking[0]}: is missing")
    known = {*_FOUND, *config.dataset_keys()}
    if unknown := [k for k in spec if k not in known]:
        raise NoiselabError(f"{key}.{unknown[0]}: unknown key ({hint(unknown[0], sorted(known))})")
    unused = _EMBEDDED if KINDS[kind].download else ()
    given = {k: v for k, v in spec.items() if (v is not None and k not in unused) or k in needed}
    config.check_dataset(name, given, _definition(kind))
    checks.check_lengths(spec, key)
    checks.check_target(spec, key)


def _definition(kind: str) -> str:
    """The part of the schema that data sets of a kind follow."""
    if kind in TEXT_KINDS:
        return "text"
    if kind in PAIR_KINDS:
        return "pairs"
    if kind in LABELLED_KINDS:
        return "labelled_texts"
    if kind in ALGORITHMIC_KINDS:
        return "algorithmic_data"
    own = {"image_files": "image_files", "images": "found_images", "encoded_images": "found_images"}
    return own.get(kind, "image_changes")
