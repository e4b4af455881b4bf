"""Text for language models: documents, tokenised once, as two long arrays of tokens.

A prepared folder has `train.npy` and `validation.npy`: uint16 [tokens], every document followed
by the end-of-text token; `unigram.npy`: int64 [vocabulary], how often each token is in the
training split; `tokenizer.json`; `dataset.json`: name, kind, origin, vocabulary, end_of_text (its
id), documents and tokens of each split, characters, SHA-256 of each array of tokens. Written last,
it says the rest is whole. Where a data set has texts out of its domain, to score models on only,
their tokens are in `out_of_domain.npy` and `second_domain.npy`.
"""

import hashlib
import itertools
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from noiselab import progress, reading
from noiselab.data import complete, text_files, text_sources
from noiselab.data.kinds import DOMAINS
from noiselab.errors import NoiselabError, first_line
from noiselab.files import read_json, whole_file, write_json, write_text
from noiselab.noise.corruptions.tokens import UNIGRAM

SPLITS = ("train", "validation")
END_OF_TEXT = "<|endoftext|>"

_SPACE, _WORD = re.compile(r"\s"), 50  # characters, of which a word has fewer
_BPE_CHARACTERS = 20_000_000  # read to train a tokenizer: merges have settled long before
_RUN = 10_000  # characters; a tokenizer's training takes the square of the longest word's length
_RUNS = re.compile(
    "|".join(rf"((?:{c}){{{_RUN}}})(?:{c})+" for c in (r"[^\W\d_]", r"\d", r"\s", r"[^\w\s]|_"))
)
_SHARD_DOCUMENTS = 2_000
_SHARD_CHARACTERS = 8_000_000  # bounds memory where documents are books


# -------------------------------------------------------------------------------- documents


def _parts(spec: dict, source: Path) -> list[dict]:
    """The folders, beside `source`, that the documents of a data set come from: its own, or those
    that it names."""
    own = {"folder": source.name, "text_column": spec.get("text_column")}
    usual = {"documents": spec.get("documents")}
    return [usual | part for part in spec.get("parts") or [own]]


def _part_files(part: dict, source: Path) -> list[Path]:
    """The files of documents of one of these folders."""
    folder = source.parent / part["folder"]
    return text_sources.document_files(folder, part.get("files"), part["text_column"])


def _chosen(spec: dict, source: Path) -> list[tuple[dict, list[Path]]]:
    """Each of the folders of a data set with its files. NoiselabError: there are none, or none for
    which it is said what a document is."""
    chosen = [(part, _part_files(part, source)) for part in _parts(spec, source)]
    if spec.get("documents") and not any(_has_txt(files) for _, files in chosen):
        raise NoiselabError(
            f"config key datasets.{spec['name']}.documents: says what a document of a *.txt is, "
            f"but there is none in {', '.join(part['folder'] for part, _ in chosen)}; a row of a "
            "table is a document"
        )
    return chosen


def _has_txt(files: list[Path]) -> bool:
    return any(file.suffix.lower() == ".txt" for file in files)


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
    found = [_opened(*part) for part in _chosen(spec, folder)]
    if parts := spec.get("tokenizer_parts"):
        found += [_opened(*part) for part in _chosen(spec | {"parts": parts}, folder)]
    for outside in (spec.get(domain) for domain in DOMAINS):
        if outside and "folder" in outside:
            found.append(_opened(outside, _part_files(outside, folder)))
    return complete.parts(list(itertools.chain(*found)))


def _opened(part: dict, files: list[Path]) -> list[Path]:
    """The files, in which reading could begin."""
    for file in files:
        text_files.check_file(file, [part["text_column"]])
    return files


def in_validation(text: str, share: float) -> bool:
    """Whether a document is for validation: a pure function of its text, true for `share`.

    Thus neither the order nor the number of the other documents moves it, and copies of a
    document are all in the same split.
    """
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest) < share * 2**64


def _assigned(name: str, documents: Iterator[str], share: float) -> Iterator[tuple[str, str]]:
    """(split, document) of all documents; the only one there is gives its end for validation.
    name: of the data set."""
    first, second = next(documents, None), next(documents, None)
    if first is None:
        raise NoiselabError(f"data set {name}: no document; all files are empty or blank")
    if second is None:
        halves = zip(SPLITS, _cut(first, share), strict=True)
        yield from ((split, text) for split, text in halves if text and not text.isspace())
        return
    for text in itertools.chain((first, second), documents):
        yield SPLITS[in_validation(text, share)], text


def _cut(text: str, share: float) -> tuple[str, str]:
    """A text in two, of which the second has this share of the characters, or a little less: where
    there is a space near, it begins with a word."""
    place = len(text) - round(share * len(text))
    space = _SPACE.search(text, place, place + _WORD)
    place = space.end() if space else place
    return text[:place], text[place:]


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
    tokenizer.train_from_iterator(map(_without_long_runs, texts), trainer)
    few = "; there is too little text for more, so set `vocabulary` to this or less"
    return _checked(tokenizer, vocabulary, special, "a tokenizer trained on this text", few)


def _without_long_runs(text: str) -> str:
    """The text with runs of letters, of digits, of blanks or of signs cut to 10,000 characters."""
    return text if len(text) <= _RUN else _RUNS.sub(lambda run: run[run.lastindex], text)


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


def _checked(tokenizer, vocabulary: int, special: Iterable[str], which: str, hint: str = ""):
    size = tokenizer.get_vocab_size()
    if size != vocabulary:
        raise NoiselabError(f"{which} has {size} entries, configured vocabulary {vocabulary}{hint}")
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
    Documents are split by their text alone; if there is one only, its end is for validation.
    NoiselabError where documents cannot be read, the tokenizer cannot be had, or a split is empty.
    """
    documents, origin = _documents(spec, source)
    if spec.get("max_characters"):
        documents = _first(documents, spec["max_characters"])
        origin += f", the first {spec['max_characters']:,} characters"
    assigned = _assigned(spec["name"], documents, spec["validation_share"])
    if spec["tokenizer"] == "gpt2":
        tokenizer = gpt2_tokenizer(gpt2, spec["vocabulary"])
    elif other := _tokenizer_spec(spec):
        others = _assigned(spec["name"], _documents(other, source)[0], spec["validation_share"])
        tokenizer = bpe_tokenizer(_sample(others)[1], spec["vocabulary"])
    else:
        head, sample = _sample(assigned)
        tokenizer = bpe_tokenizer(sample, spec["vocabulary"])
        assigned = itertools.chain(head, assigned)
    bar = _progress(spec.get("max_characters"))
    shards = _encode_all(tokenizer, assigned, work / "shards", bar)
    _check_splits(spec, shards)
    write_text(out / "tokenizer.json", tokenizer.to_str())
    _write(spec, origin, tokenizer.token_to_id(END_OF_TEXT), shards, out)
    shutil.rmtree(work / "shards")
    with suppress(OSError):  # it holds files of someone else
        work.rmdir()


def prepare_out_of_domain(
    spec: dict, source: Path | None, tokenizer: Path, out: Path, domain: str = DOMAINS[0]
) -> None:
    """Tokenise a text out of the domain of a data set, embedded or beside `source`, with the data
    set's `tokenizer.json` into the array `out`. domain: its key in `spec`.

    The rows of a file are the lines of one document: such text is scored as a stream.
    NoiselabError where it cannot be read or is blank.
    """
    from tokenizers import Tokenizer

    documents = list(text_sources.outside_documents(spec[domain], source))
    if not "".join(documents).strip():
        raise NoiselabError(f"data set {spec['name']}: the text of {domain} is blank")
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
        origin = f"docstrings of {', '.join(map(text_sources.version, spec['packages']))}"
        return text_sources.docstring_documents(spec["packages"]), origin
    chosen = _chosen(spec, source)
    documents = [
        text_sources.file_documents(files, part["text_column"], part["documents"])
        for part, files in chosen
    ]
    names = ", ".join(part["folder"] for part, _ in chosen)
    return _in_turn(documents), f"{spec['name']} read from {names}"


def _tokenizer_spec(spec: dict) -> dict | None:
    """A specification of the text that a data set's tokenizer is trained on, where it is another:
    data sets that name the same one have the same tokens."""
    keys = {"tokenizer_packages": "packages", "tokenizer_parts": "parts"}
    other = {key: spec[name] for name, key in keys.items() if spec.get(name)}
    return spec | other if other else None


def _first(documents: Iterator[str], characters: int) -> Iterator[str]:
    """Documents until these many characters are reached; the last one stays whole."""
    for text in documents:
        yield text
        characters -= len(text)
        if characters <= 0:
            return


def _sample(assigned: Iterator[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[str]]:
    """Take documents off the iterator: all taken, and those a tokenizer may be trained on."""
    taken, sample, room = [], [], _BPE_CHARACTERS
    for split, text in assigned:
        taken.append((split, text))
        if split == "train":
            sample.append(text[:room])
            room -= len(sample[-1])
        if room == 0:
            break
    return taken, sample


def _check_splits(spec: dict, shards: Shards) -> None:
    """NoiselabError: a split has no document."""
    for split in SPLITS:
        if not shards.files[split]:
            count = sum(shards.documents.values())
            raise NoiselabError(
                f"data set {spec['name']}: no document is in the {split} split, of {count} in "
                "all; change validation_share or max_characters, or what a document is (documents)"
            )


def _encode_all(tokenizer, assigned, folder: Path, bar: tqdm) -> Shards:
    shards = Shards({s: [] for s in SPLITS}, dict.fromkeys(SPLITS, 0), 0)
    same_tokenizer = hashlib.blake2b(tokenizer.to_str().encode(), digest_size=16)
    with bar:
        for split, texts in _batches(assigned):
            path = folder / f"{_digest(same_tokenizer.copy(), texts)}.npy"
            if not path.exists():
                with whole_file(path) as temporary, open(temporary, "wb") as file:
                    np.save(file, _encode(tokenizer, texts))
            shards.files[split].append(path)
            shards.documents[split] += len(texts)
            bar.update(sum(map(len, texts)))
    return shards._replace(characters=bar.n)


def _batches(assigned: Iterable[tuple[str, str]]) -> Iterator[tuple[str, list[str]]]:
    """A split and documents of it, as soon as there are enough of them, in their order."""
    waiting: dict[str, list[str]] = {split: [] for split in SPLITS}
    characters = dict.fromkeys(SPLITS, 0)
    for split, text in assigned:
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
        parts = shards.files[split]
        tokens, sha256 = _join(parts, out / f"{split}.npy")
        if split == "train":
            _count(parts, spec["vocabulary"], out / UNIGRAM)
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


def _count(parts: list[Path], vocabulary: int, path: Path) -> None:
    """Write how often each token is in some arrays, int64 [vocabulary]."""
    counts = sum(np.bincount(mapped(part), minlength=vocabulary) for part in parts)
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        np.save(file, counts.astype(np.int64))


def mapped(path: Path) -> np.ndarray:
    """A memory-mapped array; NoiselabError where it is missing or broken."""
    return reading.array(path)


def _progress(characters: int | None) -> tqdm:
    interval = progress.interval()
    return tqdm(total=characters, unit="char", unit_scale=True, mininterval=interval)


# -------------------------------------------------------------------------------- download


def download(hub: str, tokenizer: str, folder: Path) -> None:
    """Fetch a data set from the Hugging Face hub and, beside it in `gpt2`, GPT-2's tokenizer."""
    from huggingface_hub import hf_hub_download

    text_sources.snapshot(hub, text_sources.PATTERNS, folder)
    if tokenizer == "gpt2":
        beside = folder.absolute().parent / "gpt2"
        with text_sources.downloading(hub):
            hf_hub_download("openai-community/gpt2", "tokenizer.json", local_dir=beside)


def available(spec: dict, timeout: float) -> int:
    """Bytes that download() would fetch of a data set; asks the hub."""
    return text_sources.snapshot_bytes(spec["hub"], text_sources.PATTERNS, timeout)
