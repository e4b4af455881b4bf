"""Text for language models: documents, tokenised once, as two long arrays of tokens.

A prepared folder has `train.npy` and `validation.npy`: uint16 [tokens], every document followed
by the end-of-text token; `tokenizer.json`; `dataset.json`: name, kind, origin, vocabulary,
end_of_text (its id), documents and tokens of each split, characters, SHA-256 of each array.
Written last, it says the rest is whole. Where a data set has text out of its domain, to score
models on only, its tokens are in `out_of_domain.npy`.
"""

import ast
import gc
import hashlib
import importlib.metadata
import importlib.util
import itertools
import json
import multiprocessing
import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from noiselab import progress
from noiselab.data import complete
from noiselab.errors import NoiselabError
from noiselab.files import read_json, whole_file, write_json, write_text

SPLITS = ("train", "validation")
END_OF_TEXT = "<|endoftext|>"

_SHORTEST_DOCSTRING = 40  # characters; shorter ones are labels rather than text
_BPE_CHARACTERS = 20_000_000  # read to train a tokenizer: merges have settled long before
_SHARD_DOCUMENTS = 2_000
_SHARD_CHARACTERS = 8_000_000  # bounds memory where documents are books
_STRUCT = "translation"  # where the hub's translation sets keep their columns


# -------------------------------------------------------------------------------- documents


def docstring_documents(packages: list[str]) -> Iterator[str]:
    """The docstrings of installed packages, a document per source file.

    The packages are read, not imported. Docstrings under 40 characters are left out, and so are
    those seen before in any file; the others of a file are joined by an empty line.
    NoiselabError, with the first document, where a package is not installed.
    """
    seen: set[str] = set()
    for docstrings in map_sources(_docstrings, packages):
        new = [d for d in dict.fromkeys(docstrings) if d not in seen]
        seen.update(new)
        if new:
            yield "\n\n".join(new)


def map_sources(function: Callable[[Path], list], packages: list[str]) -> Iterator[list]:
    """What `function` gives for each source file of installed packages, in their order.

    It is called in several processes, which import its module. NoiselabError, with the first
    file, where a package is not installed.
    """
    sources = [_source_files(package) for package in packages]
    # Started afresh, as forking a process that has threads (torch's, say) can hang. Without
    # garbage collection it takes half the time: syntax trees have no cycles.
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(min(_cores(), 8), initializer=gc.disable) as pool:
        for files in sources:  # one at a time: who wants little text need not wait for all
            yield from pool.imap(function, files, chunksize=32)


def folder_documents(folder: Path, text_column: str, files: str | None = None) -> Iterator[str]:
    """The documents of a folder and the folders below it, in the order of their paths.

    Each *.txt is a document, and so is each row of each *.parquet and *.jsonl, in their column
    `text_column`; blank ones are left out. `files`: a glob; without it, where there are files
    train*, only these are read. Rows are streamed. NoiselabError, when the file is reached, names
    what cannot be read.
    """
    for file in _document_files(folder, files):
        for (text,) in rows(file, [text_column]):
            if text and not text.isspace():
                yield text


def _document_files(folder: Path, pattern: str | None = None) -> list[Path]:
    if not folder.is_dir():
        raise NoiselabError(f"no folder {folder}")
    files = sorted(f for f in folder.rglob("*") if f.suffix in _READERS and f.is_file())
    if not files:
        raise NoiselabError(f"{folder}: no {', '.join(_PATTERNS)}")
    if pattern is None:
        return [f for f in files if f.name.startswith("train")] or files
    if chosen := [f for f in files if f.relative_to(folder).match(pattern)]:
        return chosen
    raise NoiselabError(f"{folder}: no {', '.join(_PATTERNS)} matches {pattern!r}")


def _parts(spec: dict, source: Path) -> list[dict]:
    """The folders, beside `source`, that the documents of a data set come from: its own, or those
    that it names."""
    own = {"folder": source.name, "text_column": spec.get("text_column")}
    return spec.get("parts") or [own]


def _in_turn(parts: Sequence[Iterator[str]]) -> Iterator[str]:
    """All documents of several iterators, the next one always of that which gave the fewest
    characters so far: whatever is cut off the stream's head has as much of each."""
    given = dict.fromkeys(range(len(parts)), 0)
    while given:
        i = min(given, key=given.__getitem__)
        text = next(parts[i], None)
        if text is None:
            del given[i]
        else:
            given[i] += len(text)
            yield text


def check(spec: dict, folder: Path) -> complete.Source:
    """What there is of the data set in `folder`, or beside it; each file is opened, none is read.
    NoiselabError where prepare() would not find what it needs."""
    outside = spec.get("out_of_domain")
    found = []
    for part in [*_parts(spec, folder), *([outside] if outside else [])]:
        files = _document_files(folder.parent / part["folder"], part.get("files"))
        for file in files:
            check_file(file, [part["text_column"]])
        found += files
    return complete.parts(found)


def check_file(file: Path, columns: Sequence[str]) -> None:
    """NoiselabError where rows() could not begin to read these columns of a file."""
    if file.suffix == ".parquet":
        with _opened_parquet(file, columns):
            return
    next(rows(file, columns), None)


def rows(file: Path, columns: Sequence[str]) -> Iterator[list[str | None]]:
    """The values that each row of a *.parquet or *.jsonl has in these columns, streamed.

    Columns may also be fields of a column `translation`. A *.txt is one row, whatever the
    column. NoiselabError names the file that cannot be read, has no such column, or no text in it.
    """
    for row in _READERS[file.suffix](file, columns):
        for column, value in zip(columns, row, strict=True):
            if not isinstance(value, str | None):
                raise NoiselabError(f"{file}: column {column} is not text")
        yield row


def in_validation(text: str, share: float) -> bool:
    """Whether a document is for validation: a pure function of its text, true for `share`.

    Thus neither the order nor the number of the other documents moves it, and copies of a
    document are all in the same split.
    """
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest) < share * 2**64


def _source_files(package: str) -> list[Path]:
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        found = None
    if found is None or not found.submodule_search_locations:
        raise NoiselabError(f"package {package} is not installed, so its docstrings are missing")
    folders = map(Path, found.submodule_search_locations)
    return sorted(f for folder in folders for f in folder.rglob("*.py") if f.is_file())


def _docstrings(file: Path) -> list[str]:
    """The long docstrings of a source file from top to bottom."""
    docstrings = (ast.get_docstring(node) or "" for node, _ in definitions(parsed(file)))
    return [valid(d) for d in docstrings if len(d) >= _SHORTEST_DOCSTRING]


def parsed(file: Path) -> ast.Module:
    """The syntax tree of a source file; an empty one if it does not parse."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SyntaxWarning: invalid escape sequences
        try:
            return ast.parse(file.read_bytes())
        except (SyntaxError, ValueError, RecursionError):
            return ast.Module([], [])


def definitions(node: ast.AST, classes: str = "") -> Iterator[tuple[ast.AST, str]]:
    """A module and the classes and functions in it, from top to bottom.

    With each come the classes it is directly in, "Outer.Inner." for their methods.
    """
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node, classes
        classes = f"{classes}{node.name}." if isinstance(node, ast.ClassDef) else ""
    # ast.walk would also visit every expression, and goes by depth rather than by line.
    for field in ("body", "handlers", "orelse", "finalbody", "cases"):
        children = getattr(node, field, ())
        for child in children if isinstance(children, list) else ():
            yield from definitions(child, classes)


def valid(text: str) -> str:
    """The text with "?" for lone surrogates, which Python's and JSON's escapes can make."""
    return text.encode("utf-8", "replace").decode()


def _text_file(file: Path, _columns: Sequence[str]) -> Iterator[list[str]]:
    try:
        yield [file.read_bytes().decode("utf-8")]
    except (OSError, UnicodeDecodeError) as error:
        raise NoiselabError(f"{file}: cannot be read ({first_line(error)})") from error


@contextmanager
def _opened_parquet(file: Path, columns: Sequence[str]):
    """A parquet file and the paths of its columns; NoiselabError where it, or what is read of it
    in the block, is broken."""
    import pyarrow.parquet
    from pyarrow import ArrowException

    try:
        with pyarrow.parquet.ParquetFile(file) as parquet:
            blank = {field.name: _blank(field.type) for field in parquet.schema_arrow}
            _values(file, blank, columns)  # complains even where there are no rows
            yield parquet, [c if c in blank else f"{_STRUCT}.{c}" for c in columns]
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        raise NoiselabError(f"{file}: cannot be read ({first_line(error)})") from error


def _parquet(file: Path, columns: Sequence[str]) -> Iterator[list]:
    with _opened_parquet(file, columns) as (parquet, paths):
        for batch in parquet.iter_batches(batch_size=1000, columns=paths):
            yield from (_values(file, row, columns) for row in batch.to_pylist())


def _json_lines(file: Path, columns: Sequence[str]) -> Iterator[list]:
    with open(file, "rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = dict(json.loads(line))
            except (ValueError, TypeError) as error:
                reason = getattr(error, "msg", error)  # without the place, which is in line 1
                raise NoiselabError(f"{file}: line {number} cannot be read ({reason})") from error
            values = _values(file, row, columns)
            yield [valid(value) if isinstance(value, str) else value for value in values]


_READERS = {".txt": _text_file, ".parquet": _parquet, ".jsonl": _json_lines}
_PATTERNS = [f"*{suffix}" for suffix in _READERS]


def first_line(reason: object) -> str:
    """The first line of a message that may have several."""
    return str(reason).strip().partition("\n")[0]


def _blank(arrow_type) -> dict | str:
    """A value of a column: its fields where it is a struct."""
    import pyarrow.types

    return {field.name: "" for field in arrow_type} if pyarrow.types.is_struct(arrow_type) else ""


def _values(file: Path, row: dict, columns: Sequence[str]) -> list:
    """What a row has in these columns, or else in these fields of its column `translation`."""
    fields = row.get(_STRUCT, {})
    if fields is None:
        fields = dict.fromkeys(columns)
    found = (fields if isinstance(fields, dict) else {}) | row
    for column in columns:
        if column not in found:
            raise NoiselabError(f"{file}: no column {column} (found {', '.join(found)})")
    return [found[column] for column in columns]


# -------------------------------------------------------------------------------- tokenizers


def bpe_tokenizer(texts: Iterable[str], vocabulary: int, special: Sequence[str] = (END_OF_TEXT,)):
    """A byte-level BPE tokenizer trained on `texts`, `vocabulary` entries in all.

    The special tokens are 0, 1, …, then come the 256 bytes, so any text can be encoded, then
    merges. NoiselabError where the text is too small for so many.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _checked(tokenizer, vocabulary, special, "a tokenizer trained on this text")


def gpt2_tokenizer(folder: Path, vocabulary: int):
    """GPT-2's tokenizer from `tokenizer.json`, or from `vocab.json` and `merges.txt`.

    NoiselabError where neither is in the folder, or it is not of `vocabulary` entries.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    whole, vocab, merges = (folder / n for n in ("tokenizer.json", "vocab.json", "merges.txt"))
    if not whole.is_file() and not (vocab.is_file() and merges.is_file()):
        raise NoiselabError(
            f"{folder}: no tokenizer.json, nor vocab.json and merges.txt; "
            "put those of GPT-2 there, or set --tokenizer to their folder"
        )
    try:
        if whole.is_file():
            tokenizer = Tokenizer.from_file(str(whole))
        else:
            tokenizer = Tokenizer(models.BPE.from_file(str(vocab), str(merges)))
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            tokenizer.decoder = decoders.ByteLevel()
            tokenizer.add_special_tokens([END_OF_TEXT])
    except Exception as error:  # tokenizers raises no narrower one
        raise NoiselabError(f"{folder}: tokenizer cannot be read ({first_line(error)})") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return _checked(tokenizer, vocabulary, [END_OF_TEXT], f"the tokenizer in {folder}")


def _checked(tokenizer, vocabulary: int, special: Iterable[str], which: str):
    size = tokenizer.get_vocab_size()
    if size != vocabulary:
        raise NoiselabError(f"{which} has {size} entries, configured vocabulary {vocabulary}")
    if size > 2**16:
        raise NoiselabError(f"{which} has {size} entries, more than uint16 can number")
    for token in special:
        if tokenizer.token_to_id(token) is None:
            raise NoiselabError(f"{which} has no {token}")
    # Documents that spell out "<|endoftext|>" do not end there; nanoGPT's encode_ordinary.
    tokenizer.encode_special_tokens = True
    return tokenizer


# -------------------------------------------------------------------------------- preparation


class Shards(NamedTuple):
    """What became of the documents: per split token files and documents; characters in all."""

    files: dict[str, list[Path]]
    documents: dict[str, int]
    characters: int


def prepare(spec: dict, source: Path | None, gpt2: Path, work: Path, out: Path) -> None:
    """Tokenise the documents that `spec` asks for into the folder `out`.

    Each shard of 2,000 documents is a file in `work`, named after what is in it, so a preparation
    that was stopped goes on from there; in the end they are removed. `source` is the folder of
    documents (kind text), whose `parts` lie beside it, `gpt2` the one of its tokenizer.
    NoiselabError where documents cannot be read, the tokenizer cannot be had, or a split is empty.
    """
    documents, origin = _documents(spec, source)
    if spec["max_characters"]:
        documents = _first(documents, spec["max_characters"])
        origin += f", the first {spec['max_characters']:,} characters"
    share = spec["validation_share"]
    if spec["tokenizer"] == "gpt2":
        tokenizer = gpt2_tokenizer(gpt2, spec["vocabulary"])
    else:
        head, sample = _sample(documents, share)
        tokenizer = bpe_tokenizer(sample, spec["vocabulary"])
        documents = itertools.chain(head, documents)
    bar = _progress(spec["max_characters"])
    shards = _encode_all(tokenizer, documents, share, work / "shards", bar)
    for split in SPLITS:
        if not shards.files[split]:
            raise NoiselabError(
                f"data set {spec['name']}: no document is in the {split} split; "
                "change validation_share or max_characters"
            )
    write_text(out / "tokenizer.json", tokenizer.to_str())
    _write(spec, origin, tokenizer.token_to_id(END_OF_TEXT), shards, out)
    shutil.rmtree(work / "shards")
    with suppress(OSError):  # it holds files of someone else
        work.rmdir()


def prepare_out_of_domain(spec: dict, source: Path, tokenizer: Path, out: Path) -> None:
    """Tokenise the text out of the domain of a data set, beside `source`, with the data set's
    `tokenizer.json` into the array `out`.

    The rows of a file are the lines of one document: such text is scored as a stream.
    NoiselabError where it cannot be read or is blank.
    """
    from tokenizers import Tokenizer

    part = spec["out_of_domain"]
    files = _document_files(source.parent / part["folder"], part.get("files"))
    lines = ((text or "" for (text,) in rows(file, [part["text_column"]])) for file in files)
    documents = ["\n".join(of_file) for of_file in lines]
    if not "".join(documents).strip():
        raise NoiselabError(f"data set {spec['name']}: the text of out_of_domain is blank")
    of_set = Tokenizer.from_file(str(tokenizer))
    of_set.encode_special_tokens = True  # which the file does not keep
    with whole_file(out) as temporary, open(temporary, "wb") as file:
        np.save(file, _encode(of_set, documents))


def read(folder: str | Path) -> tuple[dict, np.ndarray, np.ndarray]:
    """dataset.json, training tokens, validation tokens; uint16 [tokens], memory-mapped."""
    folder = Path(folder)
    return read_json(folder / "dataset.json"), *(mapped(folder / f"{s}.npy") for s in SPLITS)


def _documents(spec: dict, source: Path | None) -> tuple[Iterator[str], str]:
    if spec["kind"] == "docstrings":
        origin = f"docstrings of {', '.join(map(version, spec['packages']))}"
        return docstring_documents(spec["packages"]), origin
    parts = _parts(spec, source)
    documents = [
        folder_documents(source.parent / p["folder"], p["text_column"], p.get("files"))
        for p in parts
    ]
    names = ", ".join(part["folder"] for part in parts)
    return _in_turn(documents), f"{spec['name']} read from {names}"


def version(package: str) -> str:
    """A package with the version of its distribution: `sklearn` is scikit-learn's."""
    distributions = importlib.metadata.packages_distributions().get(package)
    return f"{package} {importlib.metadata.version(distributions[0])}" if distributions else package


def _first(documents: Iterator[str], characters: int) -> Iterator[str]:
    """Documents until these many characters are reached; the last one stays whole."""
    for text in documents:
        yield text
        characters -= len(text)
        if characters <= 0:
            return


def _sample(documents: Iterator[str], share: float) -> tuple[list[str], list[str]]:
    """Take documents off the iterator: all taken, and those a tokenizer may be trained on."""
    taken, sample, room = [], [], _BPE_CHARACTERS
    for text in documents:
        taken.append(text)
        if not in_validation(text, share):
            sample.append(text[:room])
            room -= len(sample[-1])
        if room == 0:
            break
    return taken, sample


def _encode_all(tokenizer, documents, share: float, folder: Path, bar: tqdm) -> Shards:
    shards = Shards({s: [] for s in SPLITS}, dict.fromkeys(SPLITS, 0), 0)
    same_tokenizer = hashlib.blake2b(tokenizer.to_str().encode(), digest_size=16)
    with bar:
        for split, texts in _batches(documents, share):
            path = folder / f"{_digest(same_tokenizer.copy(), texts)}.npy"
            if not path.exists():
                with whole_file(path) as temporary, open(temporary, "wb") as file:
                    np.save(file, _encode(tokenizer, texts))
            shards.files[split].append(path)
            shards.documents[split] += len(texts)
            bar.update(sum(map(len, texts)))
    return shards._replace(characters=bar.n)


def _batches(documents: Iterable[str], share: float) -> Iterator[tuple[str, list[str]]]:
    """A split and documents of it, as soon as there are enough of them, in their order."""
    waiting: dict[str, list[str]] = {split: [] for split in SPLITS}
    characters = dict.fromkeys(SPLITS, 0)
    for text in documents:
        split = SPLITS[in_validation(text, share)]
        waiting[split].append(text)
        characters[split] += len(text)
        if len(waiting[split]) == _SHARD_DOCUMENTS or characters[split] >= _SHARD_CHARACTERS:
            yield split, waiting[split]
            waiting[split], characters[split] = [], 0
    yield from ((split, texts) for split, texts in waiting.items() if texts)


def _digest(digest, texts: list[str]) -> str:
    for data in map(str.encode, texts):
        digest.update(len(data).to_bytes(8) + data)
    return digest.hexdigest()


def _encode(tokenizer, texts: list[str]) -> np.ndarray:
    end = tokenizer.token_to_id(END_OF_TEXT)
    tokens: list[int] = []
    for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
        tokens += encoding.ids
        tokens.append(end)
    return np.array(tokens, dtype=np.uint16)


def _write(spec: dict, origin: str, end_of_text: int, shards: Shards, out: Path) -> None:
    content = {
        "name": spec["name"],
        "kind": spec["kind"],
        "origin": origin,
        "vocabulary": spec["vocabulary"],
        "end_of_text": end_of_text,
        "characters": shards.characters,
        "sha256": {},
    }
    for split in SPLITS:
        tokens, sha256 = _join(shards.files[split], out / f"{split}.npy")
        content[f"{split}_documents"] = shards.documents[split]
        content[f"{split}_tokens"] = tokens
        content["sha256"][split] = sha256
    write_json(out / "dataset.json", content)


def _join(parts: list[Path], path: Path) -> tuple[int, str]:
    """Write one array after the other as one; its length and the SHA-256 of its values."""
    tokens = sum(len(mapped(part)) for part in parts)
    header = {"descr": "<u2", "fortran_order": False, "shape": (tokens,)}
    digest = hashlib.sha256()
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts:
            values = mapped(part).tobytes()
            file.write(values)
            digest.update(values)
    return tokens, digest.hexdigest()


def mapped(path: Path) -> np.ndarray:
    """A memory-mapped array; NoiselabError where it is missing or broken."""
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise NoiselabError(f"{path}: cannot be read ({first_line(error)})") from error


def _progress(characters: int | None) -> tqdm:
    interval = progress.interval()
    return tqdm(total=characters, unit="char", unit_scale=True, mininterval=interval)


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # Linux: the cores of this job
    return len(affinity(0)) if affinity else os.cpu_count() or 1


# -------------------------------------------------------------------------------- download


def download(hub: str, tokenizer: str, folder: Path) -> None:
    """Fetch a data set from the Hugging Face hub and, beside it in `gpt2`, GPT-2's tokenizer."""
    from huggingface_hub import hf_hub_download

    snapshot(hub, _PATTERNS, folder)
    if tokenizer == "gpt2":
        beside = folder.absolute().parent / "gpt2"
        with _downloading(hub):
            hf_hub_download("openai-community/gpt2", "tokenizer.json", local_dir=beside)


def snapshot(hub: str, patterns: list[str], folder: Path) -> None:
    """Fetch the files of a data set on the Hugging Face hub that match one of the patterns."""
    from huggingface_hub import snapshot_download

    with _downloading(hub):
        snapshot_download(hub, repo_type="dataset", allow_patterns=patterns, local_dir=folder)


def available(spec: dict, timeout: float) -> int:
    """Bytes that download() would fetch of a data set; asks the hub."""
    return snapshot_bytes(spec["hub"], _PATTERNS, timeout)


def snapshot_bytes(hub: str, patterns: list[str], timeout: float) -> int:
    """Bytes that snapshot() would fetch. The hub is asked, and whether it hands out the first of
    the files; errors are those of its library, a request may take `timeout` seconds."""
    from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import filter_repo_objects

    there = HfApi().dataset_info(hub, files_metadata=True, timeout=timeout).siblings
    files = list(filter_repo_objects(there, allow_patterns=patterns, key=lambda f: f.rfilename))
    if not files:
        raise NoiselabError(f"{hub} has no {' nor '.join(patterns)}")
    first = hf_hub_url(hub, files[0].rfilename, repo_type="dataset")
    get_hf_file_metadata(first, timeout=timeout)
    return sum(file.size or 0 for file in files)


@contextmanager
def _downloading(hub: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of the hub, of its HTTP library, of the file system
        raise NoiselabError(
            f"data set {hub}: download failed ({first_line(error)}); "
            "where there is no network, set data.root to a folder that holds it"
        ) from error
