"""Text as tokens: which split, the same tokens however they are computed, and what is refused."""

import hashlib
import json
import sys

import numpy as np
import pytest

from commands import run
from helpers import example_run
from noiselab.data import text, text_sources
from noiselab.errors import NoiselabError
from noiselab.files import write_json
from noiselab.noise.registry import corruption
from text_samples import AWKWARD, SCRIPT, SPEC, decoded, parquet, prepare, sample_documents


def assigned(documents):
    """(split, document) of each."""
    return list(text._assigned("sample", iter(documents), 0.2))


def files(folder):
    return {f.name: f.read_bytes() for f in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    parquet(folder / "source", sample_documents())
    return folder, prepare(folder)


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(text, "_SHARD_DOCUMENTS", 7)


# -------------------------------------------------------------------------------- split


def test_the_split_depends_on_the_document_alone(tmp_path):
    documents = sample_documents()
    parquet(tmp_path / "source", documents)
    parquet(tmp_path / "shuffled", documents[::-1] + [f"{i} more {i} words" for i in range(30)])
    first, second = (prepare(tmp_path, source=s, out=s + "-out") for s in ("source", "shuffled"))
    for split in ("train", "validation"):
        ours, theirs = (set(decoded(t, a[split], 0)) for _, t, a in (first, second))
        assert ours == {d for d in theirs if d in set(documents)}


def test_the_splits_are_disjoint_and_of_the_share_asked_for():
    documents = [f"document {i}" for i in range(4000)]
    for share in (0, 0.02, 0.5, 1):
        chosen = {d for d in documents if text.in_validation(d, share)}
        # four standard deviations of a binomial
        assert abs(len(chosen) - 4000 * share) <= 4 * (4000 * share * (1 - share)) ** 0.5
        assert {d for d in documents[::-1] if text.in_validation(d, share)} == chosen


def test_a_repeated_document_cannot_be_in_both_splits(tmp_path):
    parquet(tmp_path / "source", sample_documents() * 3)
    _, tokenizer, arrays = prepare(tmp_path)
    train, validation = (decoded(tokenizer, arrays[s], 0) for s in ("train", "validation"))
    assert not set(train) & set(validation)
    assert len(train) + len(validation) == 3 * len(sample_documents())


def test_the_tokenizer_has_not_seen_the_validation_split(tmp_path):
    documents = sample_documents()
    validation = [f"{i} zyxzyxzyx" * 50 for i in range(200)]
    documents += [d for d in validation if text.in_validation(d, 0.2)]
    parquet(tmp_path / "source", documents)
    _, tokenizer, _ = prepare(tmp_path)
    assert len(tokenizer.encode("zyxzyxzyx").ids) == 9


@pytest.mark.timeout(60)
@pytest.mark.parametrize("run", ["x", "ACGT", "7", " ", "=", "\n", "é"])
def test_a_tokenizer_learns_no_more_of_a_run_than_its_first_characters(run):
    """Of a word as long as a book it would learn for hours."""
    words = "some words, 12 of them. " * 30
    kept, long = (words + (run * n)[:n] + "|" for n in (10_000, 1_000_000))
    first, second = (text.bpe_tokenizer([words, t], 262).to_str() for t in (kept, long))
    assert first == second


def test_the_tokenizer_is_trained_on_the_first_characters_only(monkeypatch):
    monkeypatch.setattr(text, "_BPE_CHARACTERS", 5000)
    documents = sample_documents()
    left = iter(assigned(documents))
    taken, sample = text._sample(left)
    train = "".join(d for d in documents if not text.in_validation(d, 0.2))
    assert "".join(sample) == train[:5000]
    assert taken + list(left) == assigned(documents)
    assert len(taken) < len(documents)


# -------------------------------------------------------------------------------- tokens


def test_decoding_gives_the_documents_back(prepared):
    _, (description, tokenizer, arrays) = prepared
    train, validation = (decoded(tokenizer, a, 0) for a in arrays.values())
    expected = sample_documents()
    assert train == [d for d in expected if d in set(train)]  # in their order
    assert sorted(train + validation) == sorted(expected)
    assert set(AWKWARD) & set(train)
    assert description["end_of_text"] == 0


def test_the_description_counts_what_is_there(prepared):
    _, (description, _, arrays) = prepared
    assert description["characters"] == sum(map(len, sample_documents()))
    assert description["origin"] == "sample read from source"
    for split, tokens in arrays.items():
        assert tokens.dtype == np.uint16
        assert description[f"{split}_tokens"] == len(tokens)
        assert description[f"{split}_documents"] == (tokens == 0).sum()
        assert description["sha256"][split] == hashlib.sha256(tokens.tobytes()).hexdigest()


def test_tokens_of_the_training_split_are_counted_once_for_all_processes(prepared, small_shards):
    folder, (_, _, arrays) = prepared
    counts = np.load(folder / "out" / "unigram.npy")
    assert counts.dtype == np.int64
    assert np.array_equal(counts, np.bincount(arrays["train"], minlength=300))
    content = {"data": str(folder / "out"), "vocabulary": 300, "error_rate": 1.0}
    noise = corruption(example_run(corruption="unigram_token", **content))
    assert np.array_equal(noise.counts, counts)


def test_the_vocabulary_has_exactly_the_size_asked_for(prepared):
    _, (description, tokenizer, arrays) = prepared
    assert tokenizer.get_vocab_size() == description["vocabulary"] == 300
    assert sorted(tokenizer.get_vocab().values()) == list(range(300))
    assert tokenizer.token_to_id("<|endoftext|>") == 0
    # Merges are used, and none outside the vocabulary.
    assert 257 <= max(a.max() for a in arrays.values()) < 300


def test_shards_equal_one_document_at_a_time(prepared, small_shards, tmp_path):
    folder, (_, tokenizer, arrays) = prepared
    text.prepare(SPEC, folder / "source", folder, tmp_path / "work", tmp_path / "out")
    assert files(tmp_path / "out") == files(folder / "out")
    for tokens in arrays.values():
        documents = decoded(tokenizer, tokens, 0)
        assert len(documents) > 7  # several shards
        one_by_one = [i for d in documents for i in (*tokenizer.encode(d).ids, 0)]
        assert tokens.tolist() == one_by_one


def test_long_documents_are_shards_of_their_own(prepared, monkeypatch, tmp_path):
    folder, _ = prepared
    monkeypatch.setattr(text, "_SHARD_CHARACTERS", 150)
    batches = list(text._batches(assigned(sample_documents())))
    for split in ("train", "validation"):
        shards = [[len(d) for d in texts] for s, texts in batches if s == split]
        assert all(sum(lengths[:-1]) < 150 for lengths in shards)
        assert all(sum(lengths) >= 150 for lengths in shards[:-1])
    text.prepare(SPEC, folder / "source", folder, tmp_path / "work", tmp_path / "out")
    assert files(tmp_path / "out") == files(folder / "out")


def test_reading_stops_at_max_characters(tmp_path):
    documents = sample_documents()
    limit = sum(map(len, documents[:40])) - 1
    parquet(tmp_path / "source", documents)
    description, tokenizer, arrays = prepare(tmp_path, SPEC | {"max_characters": limit})
    assert description["origin"].endswith(f"source, the first {limit:,} characters")
    read = [d for a in arrays.values() for d in decoded(tokenizer, a, 0)]
    assert sorted(read) == sorted(documents[:40])


def test_docstrings_of_a_package_are_prepared(tmp_path):
    spec = SPEC | {"kind": "docstrings", "packages": ["tqdm"]}
    text.prepare(spec, None, tmp_path, tmp_path / "work", tmp_path / "out")
    description, *_ = text.read(tmp_path / "out")
    import tqdm

    assert description["origin"] == f"docstrings of tqdm {tqdm.__version__}"
    assert description["characters"] == sum(map(len, text_sources.docstring_documents(["tqdm"])))


# -------------------------------------------------------------------------------- stopping


@pytest.mark.parametrize("done", [0, 1, 4])
def test_a_stopped_preparation_goes_on_where_it_was(
    prepared, small_shards, tmp_path, monkeypatch, done
):
    folder, _ = prepared
    calls = []
    encode = text._encode

    def counted(tokenizer, texts, last):
        if len(calls) == last:
            raise KeyboardInterrupt
        calls.append(texts)
        return encode(tokenizer, texts)

    def run(last):
        calls.clear()
        monkeypatch.setattr(text, "_encode", lambda *a: counted(*a, last))
        text.prepare(SPEC, folder / "source", folder, tmp_path / "work", tmp_path / "out")

    with pytest.raises(KeyboardInterrupt):
        run(done)
    assert not (tmp_path / "out").exists()
    run(-1)
    in_all = len(list(text._batches(assigned(sample_documents()))))
    assert len(calls) == in_all - done
    assert files(tmp_path / "out") == files(folder / "out")
    assert not (tmp_path / "work").exists()


def test_shards_of_other_documents_or_tokenizers_are_not_taken(
    prepared, small_shards, tmp_path, monkeypatch
):
    folder, _ = prepared
    others = {"source": [d.upper() for d in sample_documents()], "same": sample_documents()}
    for name, documents in others.items():
        parquet(tmp_path / name, documents)
    with monkeypatch.context() as patch:  # everything is encoded, nothing put together
        patch.setattr(text, "_join", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        for spec, name in ((SPEC, "source"), (SPEC | {"vocabulary": 290}, "same")):
            with pytest.raises(KeyboardInterrupt):
                prepare(tmp_path, spec, source=name, out=f"{name}-out")
    assert list((tmp_path / "work").rglob("*.npy"))
    text.prepare(SPEC, folder / "source", folder, tmp_path / "work", tmp_path / "out")
    assert files(tmp_path / "out") == files(folder / "out")


def test_files_of_others_in_the_work_folder_stay(tmp_path):
    parquet(tmp_path / "source", sample_documents())
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.npy").touch()
    prepare(tmp_path)
    assert [f.name for f in (tmp_path / "work").iterdir()] == ["thesis.npy"]


# -------------------------------------------------------------------------------- GPT-2's


@pytest.fixture
def gpt2(prepared, tmp_path):
    """A tokenizer like GPT-2's, of 300 entries: end-of-text comes last, text is cut at 5."""
    trained = prepared[1][1]
    entries = sorted(trained.get_vocab(), key=trained.token_to_id)
    content = json.loads(trained.to_str())
    content["model"]["vocab"] = {t: i for i, t in enumerate([*entries[1:], entries[0]])}
    content["added_tokens"][0]["id"] = 299
    content["truncation"] = {"max_length": 5, "strategy": "LongestFirst", "stride": 0}
    content["truncation"]["direction"] = "Right"
    write_json(tmp_path / "gpt2" / "tokenizer.json", content)
    parquet(tmp_path / "source", sample_documents())
    return tmp_path


def test_gpt2_is_read_from_either_layout(gpt2):
    spec = SPEC | {"tokenizer": "gpt2"}
    description, tokenizer, arrays = prepare(gpt2, spec)
    assert description["end_of_text"] == 299
    read = [d for a in arrays.values() for d in decoded(tokenizer, a, 299)]
    assert sorted(read) == sorted(sample_documents())

    whole = gpt2 / "gpt2" / "tokenizer.json"
    model = json.loads(whole.read_text())["model"]
    whole.unlink()
    write_json(gpt2 / "gpt2" / "vocab.json", model["vocab"])
    merges = ["#version: 0.2", *map(" ".join, model["merges"])]
    (gpt2 / "gpt2" / "merges.txt").write_text("\n".join(merges))
    again = prepare(gpt2, spec, out="again")
    assert again[0] == description


# -------------------------------------------------------------------------------- errors


def truncated(folder):
    file = parquet(folder, sample_documents()) / "train-0.parquet"
    file.write_bytes(file.read_bytes()[:-50])


def damaged(folder):
    file = parquet(folder, sample_documents()) / "train-0.parquet"
    content = bytearray(file.read_bytes())
    content[4:400] = bytes(396)
    file.write_bytes(content)


def written(name, content):
    def write(folder):
        folder.mkdir()
        (folder / name).write_bytes(content)

    return write


BROKEN = {
    "missing folder": (lambda folder: None, {}, "no folder .*source"),
    "no files": (lambda folder: folder.mkdir(), {}, r"source: no \*\.txt"),
    "truncated parquet": (truncated, {}, "train-0.parquet: cannot be read"),
    "damaged parquet": (damaged, {}, "train-0.parquet: cannot be read"),
    "empty parquet": (written("a.parquet", b""), {}, "a.parquet: cannot be read"),
    "missing column": (
        lambda folder: parquet(folder, ["a"]),
        {"text_column": "body"},
        r"train-0.parquet: no column body \(found text\)",
    ),
    "numbers": (lambda folder: parquet(folder, [1]), {}, "train-0.parquet: .* is not text"),
    "not UTF-8": (written("a.txt", b"\xff\xff"), {}, "a.txt: cannot be read"),
    "not JSON": (written("a.jsonl", b'{"text": ""}\n{]'), {}, "a.jsonl: line 2 cannot be read"),
    "JSON without column": (written("a.jsonl", b'{"b": 1}'), {}, r"a.jsonl: no column .*found b"),
    "JSON numbers": (written("a.jsonl", b"7"), {}, "a.jsonl: line 1 cannot be read"),
    "too small": (lambda folder: parquet(folder, ["ab", "cd"]), {}, "configured vocabulary 300"),
    "under 257": (
        lambda folder: parquet(folder, sample_documents()),
        {"vocabulary": 256},
        "has 257 entries, configured vocabulary 256",
    ),
    "no validation": (
        lambda folder: parquet(folder, sample_documents()),
        {"validation_share": 0.0},
        "sample: no document is in the validation split",
    ),
    "no GPT-2": (
        lambda folder: parquet(folder, sample_documents()),
        {"tokenizer": "gpt2", "vocabulary": 50257},
        "gpt2: no tokenizer.json, .*--tokenizer",
    ),
    "missing package": (
        lambda folder: None,
        {"kind": "docstrings", "packages": ["json", "no_such_package"]},
        "package no_such_package is not installed",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_bad_input_is_one_line_and_leaves_no_output(tmp_path, case):
    make, change, message = BROKEN[case]
    make(tmp_path / "source")
    with pytest.raises(NoiselabError, match=message) as error:
        prepare(tmp_path, SPEC | change)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [("{}", "cannot be read"), (None, "has 300 entries, configured vocabulary 50257")],
)
def test_another_tokenizer_in_the_place_of_gpt2s_is_refused(gpt2, content, message):
    if content:
        (gpt2 / "gpt2" / "tokenizer.json").write_text(content)
    with pytest.raises(NoiselabError, match=message) as error:
        prepare(gpt2, SPEC | {"tokenizer": "gpt2", "vocabulary": 50257})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["dataset.json", "train.npy", "validation.npy"])
def test_an_incomplete_folder_is_named(prepared, tmp_path, name):
    for file, content in files(prepared[0] / "out").items():
        (tmp_path / file).write_bytes(content if file != name else b"")
    with pytest.raises(NoiselabError, match=name):
        text.read(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(NoiselabError, match=name):
        text.read(tmp_path)


def test_the_script_prepares_and_finds_gpt2_beside_the_source(gpt2, tmp_path):
    spec = json.dumps(SPEC | {"tokenizer": "gpt2"})
    folders = ["--source", "source", "--work", "work", "--out", "out"]
    command = [sys.executable, SCRIPT, "--spec", spec, *folders]
    run(command, check=True, cwd=tmp_path)
    assert text.read(tmp_path / "out")[0]["end_of_text"] == 299

    (tmp_path / "gpt2" / "tokenizer.json").unlink()
    result = run(command, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("noiselab: ")
    assert result.stderr.count("\n") == 1


def test_nothing_of_this_imports_torch():
    code = "import sys, prepare_text; sys.exit('torch' in sys.modules)"
    run([sys.executable, "-c", code], check=True, cwd=SCRIPT.parent)
