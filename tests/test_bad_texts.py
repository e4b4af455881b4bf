"""Files that are no text, or no pairs: one line that says why."""

import codecs
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noiselab.data import pairs, text, text_files
from noiselab.errors import NoiselabError
from text_file_samples import PAIRS, SPEC, WHOLE, refused, sentences, source_folder

source = pytest.fixture(source_folder)


def lines(*rows) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


def parquet(**columns) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


def parquet_twice() -> bytes:
    sink, column = pa.BufferOutputStream(), pa.array(["a"])
    pq.write_table(pa.table([column, column], names=["text", "text"]), sink)
    return sink.getvalue().to_pybytes()


ENCRYPTED = b"PARE" + bytes(40) + b"PARE"
DEEP = b'{"text": "a", "b": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
# Name -> file, its content, what the line says.
BAD = {
    "zero bytes": ("a.txt", b"plain text\0\0 and more", "zero byte"),
    "zero bytes in a line": ("a.csv", b"text\nfine\nbi\0nary\n", "line 3: a zero byte"),
    "binary": ("a.txt", bytes(range(256)) * 20, "cannot be read"),
    "gzip": ("a.txt", b"\x1f\x8b\x08" + bytes(50), "a gzip archive, not text"),
    "gzip as csv": ("a.csv", b"\x1f\x8b\x08" + bytes(50), "a gzip archive, not text"),
    "zip": ("a.txt", b"PK\x03\x04" + bytes(50), "a zip archive, not text"),
    "pdf": ("a.txt", b"%PDF-1.7 etc", "a PDF, not text"),
    "parquet as text": ("a.txt", parquet(text=["a"]), "a parquet file, not text"),
    "text as parquet": ("a.parquet", b"text\n", "a.parquet: cannot be read"),
    "encrypted parquet": ("a.parquet", ENCRYPTED, "a.parquet: cannot be read"),
    "cut UTF-16": ("a.txt", codecs.BOM_UTF16_LE + b"a\0b", "byte 4, 0x62, is not UTF-16"),
    "latin-1 csv": ("a.csv", "text\nüber\n".encode("latin-1"), "byte 5, 0xfc, is not UTF-8"),
    "empty txt": ("a.txt", b"", "no document; all files are empty or blank"),
    "blank txt": ("a.txt", b" \n\n\t\r\n", "no document; all files are empty or blank"),
    "a mark alone": ("a.txt", codecs.BOM_UTF8, "no document; all files are empty or blank"),
    "empty jsonl": ("a.jsonl", b"", r"a\.jsonl: is empty"),
    "blank jsonl": ("a.jsonl", b"\n\n", "no document; all files are empty or blank"),
    "empty csv": ("a.csv", b"", r"a\.csv: is empty"),
    "blank csv": ("a.csv", b"\n\n", r"a\.csv: no column text \(found none"),
    "header alone": ("a.csv", b"text\n", "no document; all files are empty or blank"),
    "no rows": ("a.parquet", parquet(text=pa.array([], pa.string())), "no document"),
    "nulls alone": ("a.parquet", parquet(text=pa.nulls(3)), "no document"),
    "no column": ("a.csv", b"id,txt\n1,a\n", r"no column text \(found id, txt; did you mean txt\?"),
    "semicolons": ("a.csv", b"id;words\n1;a\n", r"\(found id;words; commas separate them\)"),
    "commas in tsv": ("a.tsv", b"id,words\n1,a\n", "; tabs separate them"),
    "two columns": ("a.csv", b"text,text\na,b\n", "2 columns are called text"),
    "two columns in parquet": ("a.parquet", parquet_twice(), "2 columns are called text"),
    "few cells": ("a.csv", b"id,text\n1,a\n2\n", "line 3 has 1 cells, the header 2"),
    "many cells": ("a.csv", b"id,text\n1,a,b\n", "line 2 has 3 cells, the header 2"),
    "open quote": ("a.csv", b'id,text\n1,"a\n2,b\n', "a quotation mark opens a cell"),
    "odd quote": ("a.csv", b'id,text\n1,"a" b\n', 'line 2 cannot be read .*write "" for it'),
    "a key twice": ("a.jsonl", b'{"text": "a", "text": "b"}', r"line 1 has text twice"),
    "separators like the name": ("a.csv", b"id;text\n1;a\n", "commas separate them"),
    "deep JSON": ("a.jsonl", DEEP, r"line 1 cannot be read \(nested too deep\)"),
    "not a number": ("a.jsonl", b'{"text": NaN}', "column text is not text but a number"),
    "a list of pairs": ("a.jsonl", lines([["text", "a"]]), "line 1 .*a list, not an object"),
    "a text": ("a.jsonl", lines({"text": "a"}, "text"), "line 2 .*not an object"),
    "null": ("a.jsonl", b"null", "line 1 .*not an object"),
    "JSON, not lines": ("a.jsonl", b'[\n{"text": "a"}\n]', "line 1 cannot be read"),
    "cut JSON": ("a.jsonl", b'{"text": "a"}\n{"text": "b', "line 2 cannot be read"),
    "long number": ("a.jsonl", b'{"n": ' + b"9" * 5000 + b"}", "line 1 cannot be read"),
    "numbers": ("a.jsonl", lines({"text": "a"}, {"text": 7}), r"but a number \(line 2\)"),
    "lists": ("a.jsonl", lines({"text": ["a"]}), r"not text but a list \(line 1\)"),
    "lists in parquet": ("a.parquet", parquet(text=[["a"]]), r"not text but a list \(row 1\)"),
    "bytes": ("a.parquet", parquet(text=[b"a"]), r"not text but binary \(row 1\)"),
    "times": ("a.parquet", parquet(text=pa.array([0], pa.timestamp("s"))), "not text but datetime"),
    "few words": ("a.txt", b"too few words", "configured vocabulary 280; there is too little text"),
    "one letter": ("a.txt", b"x", "has 257 entries, configured vocabulary 280"),
    "no text at all": ("a.doc", b"text", r"source: no \*\.txt, .*found a\.doc"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_text_is_one_line(source, tmp_path, case):
    name, content, message = BAD[case]
    (source / name).write_bytes(content)
    found = refused(tmp_path)
    with pytest.raises(NoiselabError, match=message):
        raise NoiselabError(found)
    assert str(source) in found or "data set own" in found or "tokenizer" in found


def test_a_column_must_be_named_for_tables(source, tmp_path):
    (source / "a.jsonl").write_bytes(lines({"text": "a"}))
    spec = {key: value for key, value in SPEC.items() if key != "text_column"}
    assert "which column has the text? say so by text_column" in refused(tmp_path, spec=spec)


def test_an_empty_pattern_is_one_line(source, tmp_path):
    (source / "a.jsonl").write_bytes(lines({"text": "a"}))
    parts = [{"folder": "source", "text_column": "text", "files": ""}]
    assert "'' is no pattern of names" in refused(tmp_path, {"parts": parts})


GOOD = {"en": sentences(40), "de": sentences(40, 1)}
# Case -> changes of the specification, validation rows, what the line says.
BAD_PAIRS = {
    "one column": ({"target_column": "en"}, None, r"target_column: en is the source_column, too"),
    "more than there are": ({"train_size": 99}, None, r"train_size: 99, but there are only 40"),
    "more validation": (
        {"validation_size": 20},
        None,
        "size: 20, but there are only 12 pairs",
    ),
    "the same pairs": ({}, slice(0, 20), "20 of 20 validation pairs are training pairs, too"),
    "column": ({"source_column": "EN"}, None, r"train\.csv: no column EN \(found en, de"),
    "vocabulary": ({"vocabulary": 9999}, None, "configured vocabulary 9999; there is too little"),
    "blank": ({}, slice(0, 0), "no pair is in the validation split"),
}


@pytest.mark.parametrize("case", BAD_PAIRS)
def test_bad_pairs_are_one_line(source, tmp_path, case):
    change, rows, message = BAD_PAIRS[case]
    pd.DataFrame(GOOD).to_csv(source / "train.csv", index=False)
    other = {"en": sentences(12, 2), "de": sentences(12, 3)}
    validation = pd.DataFrame(GOOD)[rows] if rows else pd.DataFrame(other)
    validation.to_csv(source / "validation.csv", index=False)
    with pytest.raises(NoiselabError, match=message):
        raise NoiselabError(refused(tmp_path, change, PAIRS))


def test_a_few_shared_pairs_are_as_they_are_in_real_data(source, tmp_path):
    pd.DataFrame(GOOD).to_csv(source / "train.csv", index=False)
    both = pd.DataFrame({"en": sentences(12, 2), "de": sentences(12, 3)})
    pd.concat([both, pd.DataFrame(GOOD)[:2]]).to_csv(source / "val.csv", index=False)
    pairs.prepare(PAIRS, source, tmp_path / "out")
    description = pairs.read(tmp_path / "out")[0]
    assert (description["validation_size"], description["shared_pairs"]) == (14, 2)


def test_checks_before_the_first_job_read_no_whole_text(source, monkeypatch):
    (source / "a.txt").write_text(WHOLE)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("read"))
    assert text.check(SPEC, source).found == "1 file"
    (source / "a.txt").write_bytes(b"PK\x03\x04")
    with pytest.raises(NoiselabError, match="a zip archive"):
        text.check(SPEC, source)
    assert set(text_files.READERS) == {".txt", *text_files.TABLES}
