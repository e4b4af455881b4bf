"""Documents of a text: which ones folders, files and packages give, and those out of the domain."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from commands import run
from noiselab.data import sources, text, text_sources
from noiselab.errors import NoiselabError
from noiselab.planning import config
from text_samples import SCRIPT, SPEC, decoded, parquet, prepare, sample_documents


def folder_documents(folder, column, files=None, documents=None):
    found = text_sources.document_files(folder, files, column)
    return list(text_sources.file_documents(found, column, documents))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("text")
    parquet(folder / "source", sample_documents())
    return folder, prepare(folder)


# -------------------------------------------------------------------------------- documents


def test_a_folder_of_all_formats_is_read_in_the_order_of_paths(tmp_path):
    parquet(tmp_path / "b", [f"row {i}" for i in range(20)] + ["", None, " \n"], "rows.parquet")
    (tmp_path / "a.txt").write_bytes("one\r\nfile ä".encode())
    lines = [{"text": "first\nline", "n": 1}, {"text": None}, {"text": "second \ud800"}]
    (tmp_path / "c.jsonl").write_text("\n".join(map(json.dumps, lines)))
    documents = folder_documents(tmp_path, "text")
    rows = [f"row {i}" for i in range(20)]
    assert documents == ["one\r\nfile ä", *rows, "first\nline", "second ?"]


def test_where_there_are_training_files_only_they_are_read(tmp_path):
    for name in ("test-0.parquet", "train-0.parquet", "validation.parquet"):
        parquet(tmp_path, [name], name)
    assert folder_documents(tmp_path, "text") == ["train-0.parquet"]
    assert folder_documents(tmp_path, "text", "*") == [
        "test-0.parquet",
        "train-0.parquet",
        "validation.parquet",
    ]
    assert folder_documents(tmp_path, "text", "val*") == ["validation.parquet"]


PARTS = [
    {"folder": "reviews", "text_column": "text", "files": "*"},
    {"folder": "papers", "text_column": "abstract"},
]


@pytest.fixture
def parts(tmp_path):
    """Two folders, and the documents of a data set that is made of both."""
    documents = sample_documents(120)
    parquet(tmp_path / "reviews", documents[:30], "train-0.parquet")
    parquet(tmp_path / "reviews", documents[30:60], "test-0.parquet")
    (tmp_path / "papers").mkdir()
    rows = [{"abstract": d, "text": "not read"} for d in documents[60:]]
    (tmp_path / "papers" / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    parquet(tmp_path / "papers", ["not read"], "test.parquet")
    return tmp_path, documents


def test_a_data_set_of_several_folders_has_the_documents_of_all_of_them(parts):
    folder, documents = parts
    description, tokenizer, arrays = prepare(folder, SPEC | {"parts": PARTS})
    assert description["origin"] == "sample read from reviews, papers"
    splits = {s: decoded(tokenizer, a, 0) for s, a in arrays.items()}
    assert sorted(d for of_split in splits.values() for d in of_split) == sorted(documents)
    assert set(splits["validation"]) == {d for d in documents if text.in_validation(d, 0.2)}


def test_data_sets_may_share_the_tokenizer_of_a_third_text(parts):
    """That of a data set made of this text, whatever documents of its own a data set has."""
    folder, documents = parts
    _, usual, _ = prepare(folder, SPEC | {"parts": PARTS}, out="both")
    one, other = (SPEC | {"parts": [part], "tokenizer_parts": PARTS} for part in PARTS)
    alone = prepare(folder, SPEC | {"parts": PARTS[:1]}, out="alone")[1]
    assert alone.get_vocab() != usual.get_vocab()
    for spec, own in ((one, documents[:60]), (other, documents[60:])):
        _, tokenizer, arrays = prepare(folder, spec, out=spec["parts"][0]["folder"])
        assert tokenizer.to_str() == usual.to_str()
        found = [d for a in arrays.values() for d in decoded(tokenizer, a, 0)]
        assert sorted(found) == sorted(own)
        assert sources.folders(spec) == [
            spec["parts"][0]["folder"],
            *{"reviews", "papers"} - {spec["parts"][0]["folder"]},
        ]
    lacking = one | {"tokenizer_parts": [{"folder": "nowhere", "text_column": "text"}]}
    with pytest.raises(NoiselabError, match="nowhere"):
        text.check(lacking, folder / "source")


def test_docstrings_may_have_the_tokenizer_of_other_packages(tmp_path):
    spec = SPEC | {"kind": "docstrings", "packages": ["tqdm"]}
    usual = prepare(tmp_path, spec | {"packages": ["yaml"]}, out="usual")[1]
    lent = prepare(tmp_path, spec | {"tokenizer_packages": ["yaml"]}, out="lent")[1]
    assert lent.to_str() == usual.to_str()
    assert lent.to_str() != prepare(tmp_path, spec, out="own")[1].to_str()


def test_the_head_of_several_folders_has_as_much_of_each():
    lengths = {"a": [3, 1, 4, 1, 5, 9, 2, 6], "b": [500, 10], "c": [10] * 60}
    documents = {name: [name * n for n in of_part] for name, of_part in lengths.items()}
    merged = list(text._in_turn([iter(of_part) for of_part in documents.values()]))
    for name, of_part in documents.items():
        assert [d for d in merged if d[0] == name] == of_part
    given = dict.fromkeys(documents, 0)
    for document in merged:
        # Whoever has given more than another by more than its last document must wait.
        left = {n for n, of_part in documents.items() if given[n] < sum(map(len, of_part))}
        assert given[document[0]] == min(given[n] for n in left)
        given[document[0]] += len(document)


OUTSIDE = {"folder": "wiki", "text_column": "line", "files": "test*"}


def test_text_out_of_domain_is_one_document_per_file_in_the_tokens_of_the_data_set(prepared):
    folder, (_, tokenizer, _) = prepared
    files = {
        "test-0.parquet": [" = Title = ", "", "ABC <|endoftext|> häß", None, " "],
        "test-1.parquet": ["abc", "def"],
        "validation.parquet": ["not read"],
    }
    (folder / "wiki").mkdir()
    for name, lines in files.items():
        pq.write_table(pa.table({"line": lines}), folder / "wiki" / name)
    spec = SPEC | {"out_of_domain": OUTSIDE}
    out, of_set = folder / "outside.npy", folder / "out" / "tokenizer.json"
    text.prepare_out_of_domain(spec, folder / "source", of_set, out)
    tokens = text.mapped(out)
    assert tokens.dtype == np.uint16
    expected = [" = Title = \n\nABC <|endoftext|> häß\n\n ", "abc\ndef"]
    assert decoded(tokenizer, tokens, 0) == expected
    assert tokens.tolist() == [i for d in expected for i in (*tokenizer.encode(d).ids, 0)]

    script, whole = SCRIPT.with_name("prepare_out_of_domain.py"), out.read_bytes()
    options = ["--spec", json.dumps(spec), "--source", folder / "source", "--out", out]
    command = [sys.executable, script, *options, "--tokenizer", of_set]
    run(command, check=True)
    assert out.read_bytes() == whole


@pytest.mark.parametrize(
    ("lines", "change", "message"),
    [
        (["", None, " "], {}, "data set sample: the text of out_of_domain is blank"),
        (["a"], {"files": "train*"}, r"wiki: no \*\.txt, .* matches 'train\*'"),
        (["a"], {"text_column": "text"}, "no column text"),
        (["a"], {"folder": "gone"}, "no folder .*gone"),
    ],
)
def test_text_out_of_domain_that_cannot_be_had_is_one_line(
    prepared, tmp_path, lines, change, message
):
    (tmp_path / "wiki").mkdir()
    pq.write_table(pa.table({"line": lines}), tmp_path / "wiki" / "test.parquet")
    spec = SPEC | {"out_of_domain": OUTSIDE | change}
    of_set = prepared[0] / "out" / "tokenizer.json"
    with pytest.raises(NoiselabError, match=message) as error:
        text.prepare_out_of_domain(spec, tmp_path / "source", of_set, tmp_path / "out.npy")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out.npy").exists()


# -------------------------------------------------------------------------------- real sets


@pytest.mark.skipif("NOISELAB_DATA" not in os.environ, reason="set NOISELAB_DATA to a data.root")
def test_the_real_parts_of_english_are_read(tmp_path):
    spec = config.load()["datasets"]["english"] | {"name": "english", "vocabulary": 1000}
    root = Path(os.environ["NOISELAB_DATA"])
    assert text.check(spec, root / "english").found == "7 files"
    spec |= {"max_characters": 3_000_000}
    text.prepare(spec, root / "english", tmp_path, tmp_path / "work", tmp_path / "out")
    of_set = tmp_path / "out" / "tokenizer.json"
    text.prepare_out_of_domain(spec, root / "english", of_set, tmp_path / "outside.npy")
    tokenizer = Tokenizer.from_file(str(of_set))
    train = tokenizer.decode(text.read(tmp_path / "out")[1])
    part = spec["out_of_domain"]
    (file,) = (root / part["folder"]).glob(part["files"])
    lines = pq.read_table(file)[part["text_column"]].to_pylist()
    (document,) = decoded(tokenizer, text.mapped(tmp_path / "outside.npy"), 0)
    assert document == "\n".join(lines)
    assert document[:1000] not in train


# ------------------------------------------------------------- embedded text out of a domain


def test_embedded_text_out_of_a_domain_is_docstrings_or_licences(prepared, tmp_path):
    """Of packages that are installed; the last document is cut where it is said."""
    folder, (_, tokenizer, _) = prepared
    of_set, out = folder / "out" / "tokenizer.json", tmp_path / "second.npy"
    (whole,) = text_sources.license_documents(["tqdm"])
    assert "Permission is hereby granted" in whole
    first, *_ = text_sources.docstring_documents(["tqdm"])
    for part, expected in (
        ({"licenses": ["tqdm"], "max_characters": 500}, [whole[:500]]),
        ({"packages": ["tqdm"], "max_characters": len(first)}, [first]),
    ):
        spec = SPEC | {"second_domain": part}
        text.prepare_out_of_domain(spec, None, of_set, out, "second_domain")
        tokens = text.mapped(out).tolist()
        assert tokens == [i for d in expected for i in (*tokenizer.encode(d).ids, 0)]


def test_licences_come_once_and_of_packages_that_have_some():
    texts = list(text_sources.license_documents(["numpy", "scipy"]))
    assert len(set(texts)) == 2
    with pytest.raises(NoiselabError, match="package numpy is not installed, or has no new lic"):
        list(text_sources.license_documents(["numpy", "numpy"]))
    with pytest.raises(NoiselabError, match="package nothing_at_all is not installed"):
        list(text_sources.license_documents(["nothing_at_all"]))
