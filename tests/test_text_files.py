"""Files of text as people have them: other encodings, other tables, and which files are read."""

import codecs
import csv
import json
import os
import socket
import sys
from pathlib import Path

import pandas as pd
import pytest
from tokenizers import Tokenizer

from commands import run
from noiselab.data import pairs, text, text_sources
from noiselab.errors import NoiselabError
from text_file_samples import PAIRS, SPEC, WHOLE, refused, sentences, source_folder

SCRIPTS = Path(__file__).resolve().parents[1] / "workflow" / "scripts"
source = pytest.fixture(source_folder)


def documents(folder: Path, column="text", kind=None) -> list[str]:
    """What is read of a folder."""
    files = text_sources.document_files(folder, None, column)
    return list(text_sources.file_documents(files, column, kind))


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
