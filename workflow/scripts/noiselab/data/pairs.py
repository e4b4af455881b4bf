"""Pairs of texts for sequence-to-sequence models, tokenised once.

A prepared folder has, for each split (train, validation) and side (source, target), the sequences
`{split}_{side}.npy`: uint16 [tokens], one after the other, and `{split}_{side}_offsets.npy`:
int64 [n + 1], where each begins and the last ends; `source_lengths.npy`: int64 [n], tokens of each
training source before any is clipped; `tokenizer.json`; `dataset.json`: name, kind,
origin, vocabulary, ids of the symbols, length limits, pairs of each split, how many of validation
are in train, too (shared_pairs), and of each array its tokens, mean length, share of clipped
sequences and SHA-256. Written last, it says the rest is whole. Sequences are without begin and end
symbols.
"""

import ast
import hashlib
import re
from array import array
from collections.abc import Callable, Iterable, Iterator
from copy import copy
from functools import partial
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from noiselab import progress
from noiselab.data import complete, text, text_files, text_sources
from noiselab.data.kinds import SOURCE_LENGTHS
from noiselab.data.text import SPLITS, in_validation
from noiselab.errors import NoiselabError, first_line
from noiselab.files import read_json, whole_file, write_json, write_text
from noiselab.streams import permutation

SYMBOLS = ("<pad>", "<s>", "</s>")
PAD, BEGIN, END = range(3)
SIDES = ("source", "target")

_TARGET_CHARACTERS = (10, 400)  # a shorter sentence says nothing, a longer one is no sentence
_BPE_CHARACTERS = 20_000_000  # read to train a tokenizer: merges have settled long before
_CHUNK = 1_000  # texts encoded at once
_SHARED = 0.5  # of the validation pairs: where more are in train, too, the files are mixed up

TextPair = tuple[str, str]


# -------------------------------------------------------------------------------- sequences


class Sequences(NamedTuple):
    """Sequences of token ids: flat uint16 [tokens], and int64 [n + 1], where each begins."""

    tokens: np.ndarray
    offsets: np.ndarray

    @property
    def count(self) -> int:
        """How many there are (len() would be that of the named tuple)."""
        return len(self.offsets) - 1

    def lengths(self) -> np.ndarray:
        """Tokens of each, int64 [n]."""
        return np.diff(self.offsets)

    def get(self, i: int) -> np.ndarray:
        """The i-th, uint16 [its length]; 0 ≤ i < count."""
        start, stop = self.offsets[i : i + 2]
        return self.tokens[start:stop]


class Pairs(NamedTuple):
    """Sources and, in the same order, their targets."""

    source: Sequences
    target: Sequences


def write_sequences(path: str | Path, sequences: Iterable[Iterable[int]]) -> None:
    """Write sequences of token ids below 2^16 as `path`.npy and `path`_offsets.npy.

    The offsets are written last: where they are, both files are whole.
    """
    tokens, offsets = array("H"), array("q", [0])
    for sequence in sequences:
        tokens.extend(sequence)
        offsets.append(len(tokens))
    tokens_path, offsets_path = _paths(path)
    offsets_path.unlink(missing_ok=True)  # earlier ones, which are not of these tokens
    _save(tokens_path, np.array(tokens, dtype=np.uint16))
    _save(offsets_path, np.array(offsets, dtype=np.int64))


def read_sequences(path: str | Path) -> Sequences:
    """Sequences written by write_sequences, memory-mapped; NoiselabError if missing or broken."""
    sequences = Sequences(*map(text.mapped, _paths(path)))
    tokens, offsets = sequences
    kinds = (tokens.dtype, tokens.ndim, offsets.dtype, offsets.ndim)
    if kinds != (np.uint16, 1, np.int64, 1) or len(offsets) == 0:
        raise NoiselabError(f"{path}.npy, {path}_offsets.npy: not flat tokens and their offsets")
    if offsets[0] != 0 or offsets[-1] != len(tokens) or (np.diff(offsets) < 0).any():
        raise NoiselabError(f"{path}_offsets.npy: not the offsets of the tokens in {path}.npy")
    return sequences


def _paths(path: str | Path) -> tuple[Path, Path]:
    return Path(f"{path}.npy"), Path(f"{path}_offsets.npy")


def _save(path: Path, values: np.ndarray) -> None:
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        np.save(file, values)


# -------------------------------------------------------------------------------- functions


class Function(NamedTuple):
    """A function in a source file: "def Class.name(…):", the same with its body, what it does."""

    signature: str
    body: str
    summary: str


def functions(packages: list[str]) -> list[Function]:
    """The functions of installed packages that have both a body and a docstring, each once.

    The packages are read, not imported. Methods are named with their class; decorators are left
    out, and so are the docstrings of a body. The summary is the first sentence of the docstring,
    10 to 400 characters. NoiselabError where a package is not installed.
    """
    found = text_sources.map_sources(_functions, packages)
    return list(dict.fromkeys(function for of_file in found for function in of_file))


def _functions(file: Path) -> list[Function]:
    """The functions of a source file from top to bottom."""
    nodes = list(text_sources.definitions(text_sources.parsed(file)))
    summaries = [first_sentence(ast.get_docstring(node) or "") for node, _ in nodes]
    # All of them first: that of a function within another must not be read off the outer body.
    for node, _ in nodes:
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    described = zip(nodes, summaries, strict=True)
    found = (_function(*node, summary) for node, summary in described if summary)
    return [function for function in found if function]


def _function(node: ast.AST, classes: str, summary: str) -> Function | None:
    """The function at this node; None where it is none, does nothing or cannot be written."""
    is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    if not is_function or all(map(_does_nothing, node.body)):
        return None
    shown = copy(node)
    shown.name, shown.decorator_list = classes + node.name, []
    try:
        body = ast.unparse(shown)
    except (ValueError, RecursionError):  # f-strings with backslashes; very deep expressions
        return None
    shown.body = []
    return Function(text_files.valid(ast.unparse(shown)), text_files.valid(body), summary)


def _does_nothing(node: ast.stmt) -> bool:
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Pass) or constant


def first_sentence(docstring: str) -> str:
    """The first sentence of a docstring on one line; empty where it is too short or too long."""
    paragraph = re.split(r"\n\s*\n", docstring.strip(), maxsplit=1)[0]
    # Within a sentence, abbreviations are followed by a small letter ("e.g. the").
    sentence = re.split(r"(?<=[.!?]) (?![a-z])", " ".join(paragraph.split()), maxsplit=1)[0]
    shortest, longest = _TARGET_CHARACTERS
    return text_files.valid(sentence) if shortest <= len(sentence) <= longest else ""


# -------------------------------------------------------------------------------- which pairs


# The pairs of a split, in their order, each time it is called: at most once in memory.
Reader = Callable[[], Iterator[TextPair]]


def _documented(spec: dict) -> tuple[dict[str, Reader], str]:
    """Functions and summaries by split, and their origin. All of a target are in one split."""
    fields = [(getattr(f, spec["source_field"]), f.summary) for f in functions(spec["packages"])]
    splits: dict[str, list[TextPair]] = {split: [] for split in SPLITS}
    for pair in fields:
        splits[SPLITS[in_validation(pair[1], spec["validation_share"])]].append(pair)
    packages = ", ".join(map(text_sources.version, spec["packages"]))
    readers = {split: partial(iter, pairs) for split, pairs in splits.items()}
    return readers, f"functions ({spec['source_field']}) and docstrings of {packages}"


def _files(spec: dict, source: Path) -> tuple[dict[str, Reader], str]:
    """Rows of files by split, and their origin."""
    columns = _columns(spec)
    train = _matching(spec, source, "train_files")
    if spec["validation_files"] is None:
        share = spec["validation_share"]
        readers = {
            split: partial(_share_of, train, columns, share, validation)
            for validation, split in enumerate(SPLITS)
        }
    else:
        validation = _validation_files(spec, source, train)
        readers = {
            split: partial(_rows, files, columns)
            for split, files in zip(SPLITS, (train, validation), strict=True)
        }
    return readers, f"{' → '.join(columns)} of {spec['name']} read from {source.name}"


def check(spec: dict, source: Path) -> complete.Source:
    """What `source` has of the data set; each file is opened, none is read. NoiselabError where
    prepare() would not find in it what it needs."""
    columns, files = _columns(spec), _matching(spec, source, "train_files")
    if spec["validation_files"] is not None:
        files = files + _validation_files(spec, source, files)
    for file in files:
        text_files.check_file(file, columns)
    return complete.parts(files)


def _columns(spec: dict) -> tuple[str, str]:
    """Names of the columns of sources and targets."""
    columns = spec["source_column"], spec["target_column"]
    if columns[0] == columns[1]:
        raise NoiselabError(
            f"config key datasets.{spec['name']}.target_column: {columns[1]} is the source_column, "
            "too; a model would learn to copy"
        )
    return columns


def _validation_files(spec: dict, source: Path, train: list[Path]) -> list[Path]:
    validation = _matching(spec, source, "validation_files")
    for file in set(train) & set(validation):
        raise NoiselabError(f"{file}: both train_files and validation_files name it")
    return validation


def _matching(spec: dict, source: Path, key: str) -> list[Path]:
    """The files that a glob of the specification names, in the order of their paths."""
    # A copy of the whole repository has the other configurations, too.
    configuration = source / (spec.get("hub_folder") or "")
    folder = configuration if configuration.is_dir() else source
    found = text_files.files(folder, text_files.TABLES)
    files = text_files.matching(found, folder, spec[key])
    if not files:
        *others, last = text_files.TABLES
        formats = f"{', '.join(others)} or {last}"
        raise NoiselabError(f"{folder}: no {formats} file matches {key} {spec[key]!r}")
    return files


def _rows(files: list[Path], columns: tuple[str, str]) -> Iterator[TextPair]:
    """The rows of files that have text in both columns."""
    for file in files:
        for source, target in text_files.rows(file, columns):
            if source and target and not source.isspace() and not target.isspace():
                yield source, target


def _share_of(files, columns, share: float, validation: bool) -> Iterator[TextPair]:
    """The rows whose source is for validation, or those whose is not."""
    for pair in _rows(files, columns):
        if in_validation(pair[0], share) == validation:
            yield pair


def _subset(pairs: Reader, size: int | None) -> list[TextPair]:
    """A seeded subset of this size, in their order; all where there are not more."""
    if size is None:
        return list(pairs())
    count = sum(1 for _ in pairs())
    chosen = np.zeros(count, dtype=bool)
    chosen[permutation(0, "subset", 0, count)[:size]] = True
    return list(compress(pairs(), chosen))


# -------------------------------------------------------------------------------- preparation


def prepare(spec: dict, source: Path | None, out: Path) -> None:
    """Tokenise the pairs that `spec` asks for into the folder `out`.

    `source` is the folder of files (kind pairs). Pairs are chosen before they are tokenised.
    NoiselabError where they cannot be read, a split is empty, or the training split is too small
    for the vocabulary.
    """
    embedded = spec["kind"] == "docstring_pairs"
    readers, origin = _documented(spec) if embedded else _files(spec, source)
    chosen = {split: _subset(readers[split], spec[f"{split}_size"]) for split in SPLITS}
    _check_splits(spec, chosen)
    bpe = text.bpe_tokenizer(_sample(chosen["train"]), spec["vocabulary"], SYMBOLS)
    write_text(out / "tokenizer.json", bpe.to_str())
    clipped = _write_arrays(spec, bpe, chosen, out)
    _describe(spec, origin, clipped, _shared(chosen), out)


def _check_splits(spec: dict, chosen: dict[str, list[TextPair]]) -> None:
    """NoiselabError: a split is empty, or smaller than asked for, or the same as the other."""
    name, embedded = f"data set {spec['name']}", spec["kind"] == "docstring_pairs"
    for split, pairs in chosen.items():
        if not pairs:
            raise NoiselabError(f"{name}: no pair is in the {split} split")
        size = spec[f"{split}_size"]
        if size is not None and len(pairs) < size and not embedded:  # packages have what they have
            raise NoiselabError(
                f"config key datasets.{spec['name']}.{split}_size: {size}, but there are only "
                f"{len(pairs)} pairs; null takes all"
            )
    count, shared = len(chosen["validation"]), _shared(chosen)
    if shared > _SHARED * count:
        raise NoiselabError(
            f"{name}: {shared} of {count} validation pairs are training pairs, too; look at "
            "train_files and validation_files"
        )


def _shared(chosen: dict[str, list[TextPair]]) -> int:
    """How many validation pairs are training pairs, too."""
    train = set(chosen["train"])
    return sum(pair in train for pair in chosen["validation"])


def read(folder: str | Path) -> tuple[dict, Pairs, Pairs]:
    """dataset.json, training pairs and validation pairs, memory-mapped.

    NoiselabError names what is missing or broken.
    """
    folder = Path(folder)
    description = read_json(folder / "dataset.json")
    splits = [Pairs(*(read_sequences(folder / f"{s}_{side}") for side in SIDES)) for s in SPLITS]
    for split, pairs in zip(SPLITS, splits, strict=True):
        for side, sequences in zip(SIDES, pairs, strict=True):
            if sequences.count != description.get(f"{split}_size"):
                raise NoiselabError(
                    f"{folder / f'{split}_{side}.npy'}: {sequences.count} sequences, "
                    f"dataset.json says {description.get(f'{split}_size')}"
                )
    return description, *splits


def source_lengths(folder: str | Path) -> np.ndarray:
    """Tokens of each training source before any is clipped, int64 [n], memory-mapped; NoiselabError
    where the file is missing or broken."""
    return text.mapped(Path(folder) / SOURCE_LENGTHS)


def tokenizer(folder: str | Path):
    """The tokenizer of a prepared folder; NoiselabError where it is missing or broken."""
    from tokenizers import Tokenizer

    path = Path(folder) / "tokenizer.json"
    try:
        found = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises no narrower one
        raise NoiselabError(f"{path}: cannot be read ({first_line(error)})") from error
    found.encode_special_tokens = True  # the file does not say so
    return found


def _sample(pairs: list[TextPair]) -> Iterator[str]:
    """The texts that a tokenizer is trained on: of a seeded subset where there are too many."""
    sizes = np.array([len(source) + len(target) for source, target in pairs])
    order = permutation(0, "tokenizer", 0, len(pairs))  # files may be sorted by subject or length
    before = np.cumsum(sizes[order]) - sizes[order]
    for i in np.sort(order[before < _BPE_CHARACTERS]):
        yield from pairs[i]


def _write_arrays(spec: dict, bpe, chosen: dict, out: Path) -> dict[str, float]:
    """Tokenise and write; the share of each array's sequences that were clipped."""
    clipped = {}
    total = sum(len(SIDES) * len(pairs) for pairs in chosen.values())
    with tqdm(total=total, unit="text", mininterval=progress.interval()) as bar:
        for split, pairs in chosen.items():
            for side, texts in zip(SIDES, zip(*pairs, strict=True), strict=True):
                lengths, limit = array("q"), spec[f"{side}_length"]
                sequences = _encode(bpe, texts, limit, lengths, bar)
                write_sequences(out / f"{split}_{side}", sequences)
                if (split, side) == ("train", "source"):
                    _save(out / SOURCE_LENGTHS, np.array(lengths, dtype=np.int64))
                clipped[f"{split}_{side}"] = float(np.mean(np.array(lengths) > limit))
    return clipped


def _encode(bpe, texts: tuple[str, ...], limit: int, lengths: array, bar) -> Iterator[list[int]]:
    """Token ids of each text, at most `limit`; how many there were is added to `lengths`."""
    for start in range(0, len(texts), _CHUNK):
        chunk = list(texts[start : start + _CHUNK])
        for encoding in bpe.encode_batch_fast(chunk, add_special_tokens=False):
            lengths.append(len(encoding.ids))
            yield encoding.ids[:limit]
        bar.update(len(chunk))


def _describe(spec: dict, origin: str, clipped: dict[str, float], shared: int, out: Path) -> None:
    written = {name: read_sequences(out / name) for name in clipped}
    content = {key: spec[key] for key in ("name", "kind", "vocabulary")}
    content |= {f"{side}_length": spec[f"{side}_length"] for side in SIDES}
    content |= {f"{split}_size": written[f"{split}_source"].count for split in SPLITS}
    content |= {
        "origin": origin,
        "shared_pairs": shared,
        "symbols": dict(zip(("pad", "begin", "end"), (PAD, BEGIN, END), strict=True)),
        "tokens": {name: len(s.tokens) for name, s in written.items()},
        "mean_length": {name: float(s.lengths().mean()) for name, s in written.items()},
        "clipped": clipped,
        "sha256": {
            f"{name}{suffix}": hashlib.sha256(values).hexdigest()
            for name, sequences in written.items()
            for suffix, values in zip(("", "_offsets"), sequences, strict=True)
        },
    }
    write_json(out / "dataset.json", content)


# -------------------------------------------------------------------------------- download


def download(spec: dict, folder: Path) -> None:
    """Fetch the data set's folder in its repository on the Hugging Face hub."""
    text_sources.snapshot(spec["hub"], _patterns(spec), folder)


def available(spec: dict, timeout: float) -> int:
    """Bytes that download() would fetch; asks the hub."""
    return text_sources.snapshot_bytes(spec["hub"], _patterns(spec), timeout)


def _patterns(spec: dict) -> list[str]:
    patterns = text_files.patterns(text_files.TABLES)
    return [f"{spec['hub_folder']}/{pattern}" for pattern in patterns]
