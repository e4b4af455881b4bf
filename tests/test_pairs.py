"""Pairs of texts as tokens: which pairs, which split, the same bytes every time."""

import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from commands import run
from noiselab.data import pairs, text
from noiselab.errors import NoiselabError
from noiselab.streams import permutation
from pair_samples import FILES, FUNCTIONS, SPLITS, files, parquet, prepare, sample, sentences

# -------------------------------------------------------------------------------- sequences


@pytest.mark.parametrize(
    "sequences",
    [[[1, 2, 3], [], [65535], []], [[], []], [], [[7]]],
    ids=["some empty", "all empty", "none", "one"],
)
def test_sequences_come_back_as_written(tmp_path, sequences):
    pairs.write_sequences(tmp_path / "a.b", (np.array(s, dtype=np.uint16) for s in sequences))
    pairs.write_sequences(str(tmp_path / "same"), sequences)
    back = pairs.read_sequences(tmp_path / "a.b")
    assert back.tokens.dtype == np.uint16
    assert back.offsets.dtype == np.int64
    assert back.count == len(sequences)
    assert back.lengths().tolist() == list(map(len, sequences))
    assert [back.get(i).tolist() for i in range(back.count)] == sequences
    for suffix in (".npy", "_offsets.npy"):
        written, same = tmp_path / f"a.b{suffix}", tmp_path / f"same{suffix}"
        assert written.read_bytes() == same.read_bytes()


@pytest.mark.parametrize("i", [-1, -2, 3, 99])
def test_a_sequence_that_is_not_there_is_no_empty_one(i):
    sequences = pairs.Sequences(np.arange(6, dtype=np.uint16), np.array([0, 2, 4, 6]))
    with pytest.raises(ValueError, match="unpack"):
        sequences.get(i)


@pytest.mark.parametrize("bad", [[1, 70000], [-1]])
def test_what_is_no_token_id_is_refused_and_nothing_written(tmp_path, bad):
    with pytest.raises(OverflowError):
        pairs.write_sequences(tmp_path / "a", [[1], bad])
    assert not list(tmp_path.iterdir())


def test_a_stopped_write_leaves_no_mixture(tmp_path, monkeypatch):
    pairs.write_sequences(tmp_path / "a", [[1, 2], [3]])
    save = pairs._save

    def stopped(path, values):
        if path.name == "a_offsets.npy":
            raise KeyboardInterrupt
        save(path, values)

    monkeypatch.setattr(pairs, "_save", stopped)
    with pytest.raises(KeyboardInterrupt):
        pairs.write_sequences(tmp_path / "a", [[4], [5, 6]])  # as many tokens in all
    with pytest.raises(NoiselabError, match=r"a_offsets\.npy: cannot be read"):
        pairs.read_sequences(tmp_path / "a")


BROKEN_ARRAYS = {
    "short": ([1, 2, 3], [0, 2], "not the offsets"),
    "beyond": ([1, 2, 3], [0, 5], "not the offsets"),
    "decreasing": ([1, 2, 3], [0, 2, 1, 3], "not the offsets"),
    "late": ([1, 2, 3], [1, 3], "not the offsets"),
    "no offset": ([], [], "not flat tokens"),
    "two-dimensional": ([[1, 2]], [0, 2], "not flat tokens"),
}


@pytest.mark.parametrize("case", BROKEN_ARRAYS)
def test_arrays_that_do_not_fit_are_refused(tmp_path, case):
    tokens, offsets, message = BROKEN_ARRAYS[case]
    np.save(tmp_path / "a.npy", np.array(tokens, dtype=np.uint16))
    np.save(tmp_path / "a_offsets.npy", np.array(offsets, dtype=np.int64))
    with pytest.raises(NoiselabError, match=message):
        pairs.read_sequences(tmp_path / "a")


# -------------------------------------------------------------------------------- files


@pytest.mark.parametrize("struct", [False, True], ids=["columns", "translation"])
def test_decoding_gives_the_pairs_back_in_their_order(tmp_path, struct):
    expected = sample(tmp_path, struct)
    description, texts = prepare(tmp_path)
    assert texts == expected
    assert description["train_size"] == 60
    assert description["validation_size"] == 20
    assert description["origin"] == "en → de of sample read from source"
    assert set(description["clipped"].values()) == {0.0}


def test_symbols_spelled_out_are_text(tmp_path):
    expected = sample(tmp_path)
    _, texts = prepare(tmp_path)
    assert any("</s>" in source for source, _ in expected["train"])
    assert texts["train"] == expected["train"]
    _, *splits = pairs.read(tmp_path / "out")
    tokens = np.concatenate([side.tokens for split in splits for side in split])
    assert tokens.min() > max(pairs.PAD, pairs.BEGIN, pairs.END)
    assert 259 <= tokens.max() < 300  # merges are used, and none outside the vocabulary
    tokenizer = pairs.tokenizer(tmp_path / "out")
    assert [tokenizer.id_to_token(i) for i in range(3)] == ["<pad>", "<s>", "</s>"]
    assert tokenizer.get_vocab_size() == 300


def test_json_lines_with_either_layout_and_files_below(tmp_path):
    expected = sample(tmp_path)
    (tmp_path / "source" / "train-1.parquet").unlink()
    rows = [{"en": source, "de": target} for source, target in expected["train"][30:]]
    rows = [{"translation": row} if i % 2 else row for i, row in enumerate(rows)]
    below = tmp_path / "source" / "train-x" / "train-1.jsonl"
    below.parent.mkdir()
    below.write_text("\n".join(map(json.dumps, [*rows, {"translation": None}])))
    (tmp_path / "source" / "train.txt").write_text("neither of the formats")
    assert prepare(tmp_path)[1] == expected


def test_rows_without_one_side_are_dropped(tmp_path):
    expected = sample(tmp_path)
    half = [None, "", " \n", "text", "text", "text", None]
    parquet(tmp_path / "source" / "train-2.parquet", half, half[::-1])
    nothing = pa.array([None, None], pa.struct({"en": pa.string(), "de": pa.string()}))
    pq.write_table(pa.table({"translation": nothing}), tmp_path / "source" / "validation-1.parquet")
    _, texts = prepare(tmp_path)
    assert texts["train"] == [*expected["train"], ("text", "text")]
    assert texts["validation"] == expected["validation"]


@pytest.mark.parametrize(("train", "validation"), [(25, 7), (60, 20), (12, 20)])
def test_subsets_are_seeded_in_order_and_of_the_size_asked_for(tmp_path, train, validation):
    expected = sample(tmp_path)
    parquet(tmp_path / "source" / "train-2.parquet", [None] * 9, ["dropped"] * 9)
    sizes = {"train_size": train, "validation_size": validation, "vocabulary": 265}
    _, texts = prepare(tmp_path, FILES | sizes)
    for split, size in (("train", train), ("validation", validation)):
        order = permutation(0, "subset", 0, len(expected[split]))
        assert texts[split] == [expected[split][i] for i in sorted(order[:size])]


def test_only_chosen_pairs_are_tokenised_and_held(tmp_path, monkeypatch):
    sample(tmp_path)
    encoded = []
    encode = pairs._encode
    monkeypatch.setattr(
        pairs,
        "_encode",
        lambda bpe, texts, *rest: encoded.extend(texts) or encode(bpe, texts, *rest),
    )
    sizes = {"train_size": 25, "validation_size": 7, "vocabulary": 265}
    _, texts = prepare(tmp_path, FILES | sizes)
    assert len(encoded) == 2 * (25 + 7)
    assert {t for pair in texts["train"] for t in pair} < set(encoded)


def test_without_validation_files_the_source_decides(tmp_path):
    expected = sample(tmp_path)["train"]
    spec = FILES | {"validation_files": None}
    _, texts = prepare(tmp_path, spec)
    chosen = {s for s, _ in expected if text.in_validation(s, 0.2)}
    assert texts["validation"] == [pair for pair in expected if pair[0] in chosen]
    assert texts["train"] == [pair for pair in expected if pair[0] not in chosen]
    # A repeated source cannot be in both, whatever its target.
    again = [source for source, _ in expected]
    parquet(tmp_path / "source" / "train-2.parquet", again, sentences(60, seed=2))
    _, texts = prepare(tmp_path, spec, out="twice")
    train, validation = ({source for source, _ in texts[split]} for split in SPLITS)
    assert validation == chosen
    assert not train & validation


def test_of_a_whole_repository_only_the_configuration_is_read(tmp_path):
    expected = sample(tmp_path)
    (tmp_path / "source").rename(tmp_path / "de-en")
    (tmp_path / "source").mkdir()
    (tmp_path / "de-en").rename(tmp_path / "source" / "de-en")
    parquet(tmp_path / "source" / "fr-en" / "train-0.parquet", ["other"], ["configuration"])
    assert prepare(tmp_path, FILES | {"hub_folder": "de-en"})[1] == expected


def test_long_sequences_are_clipped_and_their_share_told(tmp_path):
    sample(tmp_path)
    _, whole = prepare(tmp_path)
    _, *uncut = pairs.read(tmp_path / "out")
    limits = {"source": 12, "target": 20}
    change = {f"{side}_length": limit for side, limit in limits.items()}
    description, _ = prepare(tmp_path, FILES | change, out="clipped")
    _, *cut = pairs.read(tmp_path / "clipped")
    assert (
        files(tmp_path / "out")["tokenizer.json"] == files(tmp_path / "clipped")["tokenizer.json"]
    )
    for split, before, after in zip(SPLITS, uncut, cut, strict=True):
        for side, limit in limits.items():
            long, short = getattr(before, side), getattr(after, side)
            name = f"{split}_{side}"
            for i in range(long.count):
                assert short.get(i).tolist() == long.get(i)[:limit].tolist()
            assert 0 < description["clipped"][name] == np.mean(long.lengths() > limit) < 1
            assert (long.lengths() == limit).any() or split == "validation"  # whole, not clipped
            assert description["mean_length"][name] == np.minimum(long.lengths(), limit).mean()
    assert len(whole["train"]) == description["train_size"]
    before_clipping = pairs.source_lengths(tmp_path / "clipped")
    assert before_clipping.tolist() == uncut[0].source.lengths().tolist()


def test_the_description_counts_what_is_there(tmp_path):
    sample(tmp_path)
    description, _ = prepare(tmp_path)
    assert description["symbols"] == {"pad": 0, "begin": 1, "end": 2}
    kept = {k: FILES[k] for k in ("name", "kind", "vocabulary", "source_length", "target_length")}
    assert kept.items() <= description.items()
    arrays = {f.stem: np.load(f) for f in (tmp_path / "out").glob("*.npy")}
    assert arrays.pop("source_lengths").sum() == description["tokens"]["train_source"]
    assert len(arrays) == 8
    hashes = {name: hashlib.sha256(a.tobytes()).hexdigest() for name, a in arrays.items()}
    assert description["sha256"] == hashes
    tokens = {name: len(a) for name, a in arrays.items() if not name.endswith("_offsets")}
    assert description["tokens"] == tokens


# -------------------------------------------------------------------------------- tokenizer


def test_the_tokenizer_has_not_seen_what_is_not_trained_on(tmp_path):
    sample(tmp_path)
    strange = ["zyxzyxzyx" * 40] * 30
    parquet(tmp_path / "source" / "validation-1.parquet", strange, strange)
    prepare(tmp_path)
    assert len(pairs.tokenizer(tmp_path / "out").encode("zyxzyxzyx").ids) == 9
    parquet(tmp_path / "source" / "train-2.parquet", ["a b c"] * 30, strange)
    prepare(tmp_path, out="seen")
    assert len(pairs.tokenizer(tmp_path / "seen").encode("zyxzyxzyx").ids) < 9


def test_the_tokenizer_is_trained_on_a_subset_of_all_where_there_is_too_much(monkeypatch):
    both = list(zip(sentences(200), sentences(200, seed=1), strict=True))
    assert list(pairs._sample(both)) == [t for pair in both for t in pair]
    monkeypatch.setattr(pairs, "_BPE_CHARACTERS", 3000)
    chosen = list(pairs._sample(both))
    characters = sum(map(len, chosen))
    assert 3000 <= characters < 3000 + max(len(s) + len(t) for s, t in both)
    positions = [both.index(pair) for pair in zip(chosen[::2], chosen[1::2], strict=True)]
    assert positions == sorted(set(positions))
    assert positions[-1] > 100  # not only the first ones
    monkeypatch.setattr(pairs, "_BPE_CHARACTERS", 1)
    assert len(list(pairs._sample(both))) == 2  # one pair however long


def test_chunks_equal_one_text_at_a_time(tmp_path, monkeypatch):
    sample(tmp_path)
    prepare(tmp_path)
    monkeypatch.setattr(pairs, "_CHUNK", 7)
    prepare(tmp_path, out="chunks")
    assert files(tmp_path / "out") == files(tmp_path / "chunks")
    _, train, _ = pairs.read(tmp_path / "out")
    tokenizer = pairs.tokenizer(tmp_path / "out")
    for i, (source, _) in enumerate(sample(tmp_path)["train"]):
        assert tokenizer.encode(source).ids == train.source.get(i).tolist()


def test_the_same_specification_gives_the_same_bytes(tmp_path):
    """In another process, with another hash seed, for functions and for files."""
    sample(tmp_path)
    code = "import sys, json; from pathlib import Path; from noiselab.data import pairs\n"
    code += "if __name__ == '__main__':\n"
    code += "    pairs.prepare(json.loads(sys.argv[1]), Path('source'), Path(sys.argv[2]))\n"
    (tmp_path / "script.py").write_text(code)
    scripts = Path(pairs.__file__).parents[2]
    for kind, spec in (("code", FUNCTIONS | {"train_size": 300}), ("files", FILES)):
        prepare(tmp_path, spec, out=f"{kind}-0")
        environment = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(scripts)}
        environment |= {"RAYON_NUM_THREADS": "1"}
        command = [sys.executable, "script.py", json.dumps(spec), f"{kind}-1"]
        run(command, check=True, cwd=tmp_path, env=environment)
        assert files(tmp_path / f"{kind}-0") == files(tmp_path / f"{kind}-1")


def test_nothing_of_this_imports_torch():
    code = "import sys, noiselab.data.pairs; sys.exit('torch' in sys.modules)"
    scripts = Path(pairs.__file__).parents[2]
    run([sys.executable, "-c", code], check=True, cwd=scripts)


# -------------------------------------------------------------------------------- real sets

# Folder -> what differs from FILES, and how many pairs there are (None: by share).
REAL = {
    "multi30k_en_de": ({"train_files": "train.parquet"}, (29_000, 1_014)),
    "wmt14_en_de": (
        {"train_files": "train_news_tatoeba_wiki*", "validation_files": "newstest2013*"},
        (71_322, 3_000),
    ),
    "cnn_dailymail": ({"source_column": "article", "target_column": "highlights"}, (492, 1_000)),
    "arxiv_abstracts": (
        {
            "source_column": "abstract",
            "target_column": "title",
            "train_files": "all*",
            "validation_files": None,
            "validation_share": 0.05,
        },
        None,
    ),
}


@pytest.mark.skipif("NOISELAB_DATA" not in os.environ, reason="set NOISELAB_DATA to a data.root")
@pytest.mark.parametrize("name", REAL)
def test_real_sets_are_read(tmp_path, name):
    change, sizes = REAL[name]
    spec = FILES | {"name": name, "vocabulary": 1000, "source_length": 256} | change
    source = Path(os.environ["NOISELAB_DATA"]) / name
    pairs.prepare(spec, source, tmp_path)
    _, train, validation = pairs.read(tmp_path)
    assert train.source.count + validation.source.count == sum(sizes or [27_207])
    if sizes:
        assert (train.source.count, validation.source.count) == sizes
    else:
        assert abs(validation.source.count - 0.05 * 27_207) < 4 * (0.05 * 0.95 * 27_207) ** 0.5
    (file,) = source.glob(spec["train_files"])
    rows = pq.read_table(file)[spec["source_column"]].to_pylist()
    if not sizes:
        rows = [row for row in rows if not text.in_validation(row, spec["validation_share"])]
    assert len(rows) == train.source.count  # none is dropped, so the i-th is the i-th
    tokenizer = pairs.tokenizer(tmp_path)
    for i, row in enumerate(rows[:300]):
        # Clipped ones are a beginning; the last character may be cut in its midst.
        start, whole = tokenizer.decode(train.source.get(i)), train.source.lengths()[i] < 256
        assert start == row if whole else row.startswith(start.rstrip("\ufffd"))
