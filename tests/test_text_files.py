"""Files of text as people have them: other encodings, other tables, and what is no text at all."""

import codecs
import csv
import json
import os
import socket
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tokenizers import Tokenizer

from commands import run
from noiselab.data import pairs, text, text_files, text_sources
from noiselab.errors import NoiselabError

SCRIPTS = Path(__file__).resolve().parents[1] / "workflow" / "scripts"
SPEC = {"name": "own", "kind": "text", "tokenizer": "bpe", "vocabulary": 280, "hub": None}
SPEC |= {"max_characters": None, "validation_share": 0.3, "text_column": "text"}
PAIRS = {"name": "two", "kind": "pairs", "hub": None, "vocabulary": 280, "score": "bleu"}
PAIRS |= {"source_column": "en", "target_column": "de", "train_files": "train*"}
PAIRS |= {"validation_files": "val*", "source_length": 500, "target_length": 500}
PAIRS |= {"train_size": None, "validation_size": None, "validation_share": 0.3}
LETTERS = [*"abcdefghij", " ", "é", "日"]


def sentences(n: int, seed: int = 0) -> list[str]:
    """Distinct sentences of random letters."""
    rng = np.random.default_rng(seed)
    return [f"{i} " + "".join(rng.choice(LETTERS, rng.integers(20, 90))) for i in range(n)]


WHOLE = "\n".join(sentences(40))


def documents(folder: Path, column="text", kind=None) -> list[str]:
    """What is read of a folder."""
    files = text_sources.document_files(folder, None, column)
    return list(text_sources.file_documents(files, column, kind))


def refused(folder: Path, change=None, spec=SPEC) -> str:
    """The one line that tells why `folder`/source cannot be prepared."""
    module, more = (text, (folder, folder / "work")) if spec["kind"] == "text" else (pairs, ())
    with pytest.raises(NoiselabError) as error:
        module.prepare(spec | (change or {}), folder / "source", *more, folder / "out")
    assert "\n" not in str(error.value)
    assert not (folder / "out" / "dataset.json").exists()
    return str(error.value)


@pytest.fixture
def source(tmp_path):
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


# -------------------------------------------------------------------------------- encodings


@pytest.mark.parametrize("name", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("suffix", ["txt", "csv", "jsonl"])
def test_text_with_a_byte_order_mark_is_that_text(source, name, suffix):
    content = "first ä 日本 🙂\r\nsecond"
    marks = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
    if suffix == "jsonl":
        written = json.dumps({"text": content}, ensure_ascii=False)
    else:
        written = content if suffix == "txt" else f'text\r\n"{content}"\r\n'
    (source / f"a.{suffix}").write_bytes(marks.get(name, b"") + written.encode(name))
    assert documents(source) == [content]


@pytest.mark.parametrize(
    ("name", "seems"),
    [
        ("utf-16-le", r"UTF-16 \(little-endian\)"),
        ("utf-16-be", r"UTF-16 \(big-endian\)"),
        ("utf-32-le", r"UTF-32 \(little-endian\)"),
        ("utf-32-be", r"UTF-32 \(big-endian\)"),
    ],
)
@pytest.mark.parametrize("suffix", ["txt", "csv", "tsv", "jsonl"])
def test_wide_text_without_a_mark_is_told_by_its_zeros(source, name, seems, suffix):
    (source / f"a.{suffix}").write_bytes("text\nsome plain english".encode(name))
    with pytest.raises(NoiselabError, match=seems):
        documents(source)


@pytest.mark.parametrize("kind", ["file", "blank_line", "line"])
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("before", [0, 100, 2**20 + 3])
def test_the_first_byte_that_is_not_utf8_is_named(source, kind, mark, before):
    (source / "a.txt").write_bytes(mark + b"a\n" * before + "ü".encode() + b"caf\xe9 au lait")
    offset = len(mark) + 2 * before + 2 + 3
    with pytest.raises(NoiselabError, match=rf"a\.txt: cannot be read .byte {offset}, 0xe9,"):
        documents(source, kind=kind)


# -------------------------------------------------------------------------------- documents

STANZAS = "one\ntwo\n\n\n three \r\nfour\r\n\r\n \t\nfive"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (None, [STANZAS]),
        ("file", [STANZAS]),
        ("blank_line", ["one\ntwo", " three \r\nfour", "five"]),
        ("line", ["one", "two", " three ", "four", "five"]),
    ],
)
def test_what_a_document_of_a_txt_is_can_be_chosen(source, kind, expected):
    (source / "a.txt").write_bytes(STANZAS.encode())
    (source / "b.jsonl").write_text(json.dumps({"text": "a\n\nrow"}))
    (source / "c.TXT").write_text("\n \n")  # blank
    assert documents(source, kind=kind) == [*expected, "a\n\nrow"]


def test_lines_as_documents_are_prepared(source, tmp_path):
    (source / "a.txt").write_text(WHOLE)
    spec = SPEC | {"documents": "line"}
    text.prepare(spec, source, tmp_path, tmp_path / "work", tmp_path / "out")
    description, *_ = text.read(tmp_path / "out")
    assert description["train_documents"] + description["validation_documents"] == 40
    part = {"folder": "source", "text_column": "text", "documents": "file"}
    spec |= {"parts": [part, part | {"documents": "line"}]}  # each part may say another thing
    text.prepare(spec, source, tmp_path, tmp_path / "work", tmp_path / "parts")
    description, *_ = text.read(tmp_path / "parts")
    assert description["train_documents"] + description["validation_documents"] == 41


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("content", [WHOLE, "日本語" * 400])
def test_the_only_document_gives_its_end_for_validation(source, tmp_path, share, content):
    (source / "a.txt").write_text(content)
    spec = SPEC | {"validation_share": share, "vocabulary": 259}
    text.prepare(spec, source, tmp_path, tmp_path / "work", tmp_path / "out")
    _, *splits = text.read(tmp_path / "out")
    tokenizer = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    train, validation = (tokenizer.decode(s[s != 0]) for s in splits)
    assert train + validation == content
    assert share * len(content) - 50 <= len(validation) <= share * len(content) + 1
    if " " in content:
        assert train[-1].isspace()


@pytest.mark.parametrize("content", ["x", "a few words and an end" + " \n" * 30])
def test_an_only_document_that_has_no_such_end_is_refused(source, tmp_path, content):
    (source / "a.txt").write_text(content)
    message = refused(tmp_path, {"vocabulary": 257})
    assert "no document is in the validation split, of 1 in all" in message


def test_documents_of_what_has_no_txt_are_refused(source, tmp_path):
    (source / "a.jsonl").write_text(json.dumps({"text": WHOLE}))
    message = refused(tmp_path, {"documents": "line"})
    assert message.startswith("config key datasets.own.documents: ")
    assert "but there is none in source; a row" in message
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "b.txt").write_text(WHOLE)
    parts = [{"folder": name, "text_column": "text"} for name in ("source", "more")]
    spec = SPEC | {"documents": "line", "parts": parts}  # one of the parts has such files
    text.prepare(spec, source, tmp_path, tmp_path / "work", tmp_path / "out")
    description, *_ = text.read(tmp_path / "out")
    assert description["train_documents"] + description["validation_documents"] == 41


# -------------------------------------------------------------------------------- tables

CELLS = ['says "no", twice', "over\r\nlines\n", "", " spaces ", "tab\there", "NA", "é日🙂", "1.5"]


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_cells_come_back_as_pandas_wrote_them(source, suffix, end, quoting):
    frame = pd.DataFrame({"id": range(len(CELLS)), "text": CELLS})
    separator = "\t" if suffix == "tsv" else ","
    options = {"sep": separator, "lineterminator": end, "quoting": quoting, "index": False}
    frame.to_csv(source / f"a.{suffix}", encoding="utf-8-sig", **options)
    assert documents(source) == [cell for cell in CELLS if cell]


def test_a_long_cell_and_a_header_alone_are_fine(source):
    (source / "a.csv").write_text("text\n" + "x" * 500_000 + "\n")
    (source / "b.csv").write_text("id,text\n\n")
    assert documents(source) == ["x" * 500_000]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet"])
def test_pairs_are_the_same_from_every_kind_of_table(tmp_path, source, suffix):
    rows = {"en": sentences(60), "de": sentences(60, 1), "n": range(60)}
    for name, part in {"train": slice(0, 45), "validation": slice(45, 60)}.items():
        frame, file = pd.DataFrame(rows)[part], source / f"{name}.{suffix}"
        if suffix == "parquet":
            frame.to_parquet(file)
        elif suffix == "jsonl":
            frame.to_json(file, orient="records", lines=True)
        else:
            frame.to_csv(file, sep="\t" if suffix == "tsv" else ",", index=False)
    pairs.prepare(PAIRS, source, tmp_path / "out")
    description, train, validation = pairs.read(tmp_path / "out")
    assert (description["train_size"], description["validation_size"]) == (45, 15)
    tokenizer = pairs.tokenizer(tmp_path / "out")
    assert [tokenizer.decode(train.source.get(i)) for i in range(45)] == rows["en"][:45]
    assert [tokenizer.decode(validation.target.get(i)) for i in range(15)] == rows["de"][45:]


def test_csv_without_a_column_is_no_text_beside_documents(source):
    (source / "metadata.csv").write_text("file,author\na.txt,me\n")
    (source / "a.txt").write_text("text")
    assert documents(source, column=None) == ["text"]
    (source / "a.txt").unlink()
    with pytest.raises(NoiselabError, match=r"metadata\.csv: which column has the text\?"):
        documents(source, column=None)


# -------------------------------------------------------------------------------- which files


def test_hidden_files_and_backups_are_not_read(source):
    names = ["a.txt", ".b.txt", ".ipynb_checkpoints/a.txt", ".git/x/a.txt", "~$c.csv", "d.txt~"]
    names += ["__MACOSX/._a.txt", "deep/er/e.txt", "a.txt/f.txt"]
    for name in names[:-1]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    (source / "folder.txt").mkdir()  # a folder, whatever its name
    (source / "folder.txt" / "g.txt").write_text("g")
    assert documents(source) == ["a.txt", "deep/er/e.txt", "g"]
    os.symlink(source, source.with_name("link"))
    assert len(documents(source.with_name("link"))) == 3


def test_links_to_folders_are_followed_and_each_folder_is_read_once(source, tmp_path):
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere" / "a.txt").write_text("a")
    (tmp_path / "elsewhere" / "deep" / "b.txt").write_text("b")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "elsewhere")
    (source / "own.txt").write_text("own")
    (source / "first").symlink_to(tmp_path / "elsewhere")
    (source / "second").symlink_to(tmp_path / "elsewhere")
    (source / "up").symlink_to("..")
    (source / "self").symlink_to(".")
    assert sorted(documents(source)) == ["a", "b", "own"]


@pytest.mark.parametrize("other", ["a.txt", "../outside.txt"])
def test_a_file_that_is_there_twice_by_a_link_is_refused(source, tmp_path, other):
    (source / "a.txt").write_text("one text of several words")
    (source / "../outside.txt").write_text("another text of several words")
    (source / "b.txt").symlink_to(other)
    (source / "c.txt").symlink_to(other)
    assert "by a link; it would be read twice" in refused(tmp_path)


def test_a_pipe_is_never_opened(source, tmp_path):
    """By the script, as nothing else would end this test."""
    (source / "a.txt").write_text(WHOLE)
    os.mkfifo(source / "b.txt")
    spec = ["--spec", json.dumps(SPEC), "--source", source, "--work", tmp_path / "work"]
    command = [sys.executable, SCRIPTS / "prepare_text.py", *spec, "--out", tmp_path / "out"]
    done = run(command, limit=60)
    assert done.returncode == 1
    assert done.stderr == f"noiselab: {source / 'b.txt'}: cannot be read (a pipe, not a file)\n"
    with pytest.raises(NoiselabError, match="a pipe, not a file"):
        text.check(SPEC, source)


def test_a_socket_and_a_link_to_nothing_are_named(source, monkeypatch):
    monkeypatch.chdir(source)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind("a.txt")
        with pytest.raises(NoiselabError, match=r"a\.txt: cannot be read .a socket or device"):
            documents(source)
    (source / "a.txt").unlink()
    (source / "b.jsonl").symlink_to("nowhere")
    with pytest.raises(NoiselabError, match=r"b\.jsonl: cannot be read .a link that leads nowhere"):
        documents(source)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["a.txt", "folder"])
def test_what_may_not_be_read_is_named(source, name):
    (source / "folder").mkdir()
    (source / "a.txt").write_text("a")
    (source / name).chmod(0)
    with pytest.raises(NoiselabError, match=f"{name}.*ermission"):
        documents(source)


def test_files_that_cannot_be_opened_are_one_line(source, monkeypatch):
    """As of a file of somebody else, which root may read."""
    (source / "a.txt").write_text("a")

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(NoiselabError, match=r"a\.txt: cannot be read .Permission denied"):
        documents(source)


# -------------------------------------------------------------------------------- bad inputs


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
