"""Labels in files of one's own: read as they are meant, or refused in one line."""

import os

import numpy as np
import pandas as pd
import pytest

from noiselab.errors import NoiselabError
from noiselab.noise import label_file

ITEMS = ["train/a/0.png", "train/a/1.png", "train/b/0.png"]
NAMES = ["a", "b"]


def written(folder, content, name="labels.csv"):
    """A file with this content, text or bytes."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def numbers(path, items=ITEMS, names=NAMES, **columns):
    """The classes that a file gives these examples."""
    return label_file.class_numbers(label_file.read(path, **columns), items, names).tolist()


# What says the same: name of the file -> content.
SAME = {
    "names.csv": "file,label\ntrain/a/0.png,a\ntrain/a/1.png,b\ntrain/b/0.png,b\n",
    "numbers.csv": "file,label\ntrain/a/0.png,0\ntrain/a/1.png,1\ntrain/b/0.png,1\n",
    "other_order.csv": "label,file\nb,train/b/0.png\na,train/a/0.png\nb,train/a/1.png\n",
    "without_split.csv": "filename,label\na/0.png,a\na/1.png,b\nb/0.png,b\n",
    "dots_and_backslashes.csv": "image,label\n.\\train\\a\\0.png,a\n./train/a/1.png,b\n"
    "train/b/0.png,b\n",
    "more_files.csv": "path,label\ntrain/a/0.png,a\ntrain/a/1.png,b\ntrain/b/0.png,b\n"
    "val/x.png,zebra\n",
    "mark_and_crlf.csv": "\ufefffile,label\r\ntrain/a/0.png,a\r\ntrain/a/1.png,b\r\n"
    "train/b/0.png,b\r\n",
    "quoted.csv": '"file","label"\n"train/a/0.png","a"\n"train/a/1.png"," b "\ntrain/b/0.png,b\n',
    "tabs.tsv": "file\tlabel\ntrain/a/0.png\ta\ntrain/a/1.png\tb\ntrain/b/0.png\tb\n",
    "blank_lines.csv": "file,label\n\ntrain/a/0.png,a\ntrain/a/1.png,b\n\ntrain/b/0.png,b\n\n",
}


@pytest.mark.parametrize("name", SAME)
def test_forms_that_say_the_same(tmp_path, name):
    assert numbers(written(tmp_path, SAME[name], name)) == [0, 1, 1]


def test_names_of_files_alone_do_where_they_tell_the_examples_apart(tmp_path):
    path = written(tmp_path, "file,label\nx.png,1\ny.png,0\n")
    assert numbers(path, ["train/a/x.png", "train/b/y.png"]) == [1, 0]
    with pytest.raises(NoiselabError, match="1 of 2 training examples have no label"):
        numbers(path, ["train/a/x.png", "train/b/z.png"])
    with pytest.raises(NoiselabError, match="3 of 3 training examples have no label"):
        numbers(path, ["train/a/x.png", "train/b/x.png", "train/b/y.png"])


def test_rows(tmp_path):
    path = written(tmp_path, "row,label\n2,1\n0,0\n001,1\n7,0\n")
    assert numbers(path, ["0", "1", "2"]) == [0, 1, 1]


def test_names_of_classes_that_are_numbers_are_names(tmp_path):
    path = written(tmp_path, "row,label\n0,10\n1,2\n")
    assert numbers(path, ["0", "1"], ["10", "2"]) == [0, 1]


FOLDERS = sorted(map(str, range(1, 11)))  # 1, 10, 2, …, as folders of classes stand


def test_names_that_are_numbers_are_not_counted_from_0(tmp_path):
    """A label 3 would be the class 3 in one file and the fourth, class 2, in another."""
    rows = [str(row) for row in range(10)]
    content = "".join(f"{row},{{}}\n" for row in rows)
    by_name = written(tmp_path, "row,label\n" + content.format(*FOLDERS))
    assert numbers(by_name, rows, FOLDERS) == list(range(10))
    by_number = written(tmp_path, "row,label\n" + content.format(*range(10)))
    with pytest.raises(NoiselabError) as error:
        numbers(by_number, rows, FOLDERS)
    assert str(error.value) == (
        f"{by_number}: '0' is no class (10 classes: {', '.join(FOLDERS)}); these names are "
        "numbers, so a label must be a name"
    )
    with pytest.raises(NoiselabError, match=r"'0' is no class .3 classes: 1, 2, cat.; these names"):
        numbers(written(tmp_path, "row,label\n0,0\n1,2\n"), rows[:2], ["1", "2", "cat"])
    with pytest.raises(NoiselabError, match=r"'4' is no class .4 classes: 0, 1, 2, 3.$"):
        numbers(written(tmp_path, "row,label\n0,0\n1,4\n"), rows[:2], ["0", "1", "2", "3"])


@pytest.mark.parametrize(
    ("content", "instead"),
    [
        ("/home/me/train/a/0.png,a\n/home/me/train/a/1.png,b\n", "/home/me/train/a/0.png"),
        ("val/x.png,a\nscans/train/a/0.png,b\n", "scans/train/a/0.png"),  # of the same name
        ("a-0,a\na-1,b\n", "a-0"),
        ("./scans//train/b/7.png,a\n", "scans/train/b/7.png"),
        ("train/a/1.png,b\n", None),  # a label is missing, no path is another
    ],
)
def test_paths_that_are_not_those_of_the_data_set_are_shown(tmp_path, content, instead):
    path = written(tmp_path, f"file,label\n{content}")
    with pytest.raises(NoiselabError) as error:
        numbers(path)
    told = f"; it has, for instance, {instead}" if instead else ""
    assert str(error.value).endswith(f"the first is file train/a/0.png{told}")


def test_columns_can_be_named(tmp_path):
    path = written(tmp_path, "id,label,worse\n0,0,1\n1,1,0\n")
    assert numbers(path, ["0", "1"], label_column="worse", item_column="id") == [1, 0]


@pytest.mark.parametrize("kind", ["int8", "int64", "str", "category"])
def test_parquet(tmp_path, kind):
    labels = pd.Series([0, 1, 1])
    labels = labels.astype(str).astype("category") if kind == "category" else labels.astype(kind)
    pd.DataFrame({"row": [0, 1, 2], "label": labels}).to_parquet(tmp_path / "labels.parquet")
    assert numbers(tmp_path / "labels.parquet", ["0", "1", "2"]) == [0, 1, 1]


# Name of the file, content, what the one line says.
WRONG = [
    ("l.csv", "", "empty"),
    ("l.csv", "file,label\n", "no labels in it"),
    ("l.csv", "0.png,a\n1.png,b\n", r"no column label \(found 0.png, a\)"),
    ("l.csv", "file,lable\nx,a\n", "did you mean lable"),
    ("l.csv", "label,klass\na,0\n", "no column row or index or file"),
    ("l.csv", "file;label\nx;a\n", "commas between its columns"),
    ("l.csv", "file\tlabel\nx\ta\n", "tsv tabs"),
    ("l.csv", "file,label\ntrain/a/0.png\n", "line 2 has 1 columns, not 2"),
    ("l.csv", "file,label\na,b,c\n", "line 2 has 3 columns, not 2"),
    ("l.csv", "file,file,label\nx,y,a\n", "two columns have one name"),
    ("l.csv", "file,label\ntrain/a/0.png,\n", "column label is empty in row 0"),
    ("l.csv", "file,label\ntrain/a/0.png,a\ntrain/a/0.png,b\n", "2 labels of file train/a/0.png"),
    ("l.csv", "row,label\n0,a\n00,b\n", "2 labels of row 0"),
    ("l.csv", "row,label\n-1,a\n", "'-1', no number of a row"),
    ("l.csv", "row,label\n1.5,a\n", "'1.5', no number of a row"),
    ("l.csv", "file,label\ntrain/a/0.png,a\n", "2 of 3 training examples have no label"),
    ("l.csv", "row,label\n0,a\n1,a\n2,b\n", "labels of rows, but the data set has names of files"),
    ("l.csv", SAME["names.csv"].replace(",a\n", ",c\n"), "'c' is no class"),
    ("l.csv", SAME["numbers.csv"].replace(",0\n", ",2\n"), "'2' is no class"),
    ("l.csv", SAME["numbers.csv"].replace(",0\n", ",0.5\n"), "'0.5' is no class"),
    ("l.csv", SAME["numbers.csv"].replace(",0\n", ",-1\n"), "'-1' is no class"),
    ("l.csv", SAME["numbers.csv"].replace(",0\n", ",nan\n"), "'nan' is no class"),
    ("l.csv", SAME["names.csv"].encode("utf-16"), "byte 0, 0xff, is not UTF-8; save it as UTF-8"),
    ("l.csv", b"file,label\n\xff\xfe,a\n", "byte 11, 0xff, is not UTF-8; save it as UTF-8"),
    ("l.csv", SAME["names.csv"] + "./train/a/0.png,b\n", "2 labels of train/a/0.png, need one"),
    ("l.csv", SAME["names.csv"] + "train//a/0.png,a\n", "2 labels of train/a/0.png, need one"),
    ("l.csv", SAME["without_split.csv"] + "train/a/0.png,b\n", "2 labels of train/a/0.png"),
    ("l.csv", SAME["names.csv"].replace("1.png,b", "1.png,bb"), "'bb' is no class .*: a, b"),
    ("l.csv", SAME["names.csv"].replace(",a\n", ',"a\nb"\n'), "column label has a line break"),
    ("l.csv", 'file,label\n"train/a/0.png,a\n', "cannot be read as text"),
    ("l.xlsx", "file,label\nx,a\n", "labels are read from .csv, .tsv or .parquet"),
    ("l.parquet", "file,label\nx,a\n", "cannot be read"),
    ("l.parquet", "", "cannot be read"),
]


@pytest.mark.parametrize(("name", "content", "message"), WRONG)
def test_what_is_wrong_is_one_line(tmp_path, name, content, message):
    with pytest.raises(NoiselabError, match=message) as error:
        numbers(written(tmp_path, content, name))
    assert "\n" not in str(error.value)
    assert name in str(error.value)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.0, 3.7, 1.0], "values of type double"),
        ([0, None, 1], "values of type double|is empty in row 1"),
        (["a", None, "b"], "is empty in row 1"),
        ([True, False, True], "values of type bool"),
        ([[0], [1], [1]], "values of type list"),
        (pd.to_datetime(["2020-01-01"] * 3), "values of type timestamp"),
    ],
)
def test_columns_of_parquet_that_are_no_labels(tmp_path, labels, message):
    frame = pd.DataFrame({"row": [0, 1, 2], "label": labels})
    frame.to_parquet(tmp_path / "labels.parquet")
    with pytest.raises(NoiselabError, match=message):
        numbers(tmp_path / "labels.parquet", ["0", "1", "2"])


def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    for name in ("pipe.csv", "folder.csv"):
        with pytest.raises(NoiselabError, match=f"{name} .no regular file"):
            label_file.read(tmp_path / name)
    with pytest.raises(NoiselabError, match="no such file"):
        label_file.read(tmp_path / "missing.csv")


@pytest.mark.parametrize("labels", [["a", "0.5"], ["0", "1", "2"], ["1", "2"], ["01", "02"], []])
def test_names_and_whole_numbers_are_classes(labels):
    label_file.check_names("l.csv", labels)


@pytest.mark.parametrize(
    ("labels", "wrong"),
    [
        (["0", "0.5"], "'0.5'"),
        (["0.0", "1.0"], "'0.0'"),
        (["-1", "1"], "'-1'"),
        (["0", "nan", "1"], "'nan'"),
        (["0", "1e400"], "'1e400'"),
        (["0", "1", "01"], "'01' is a number that is also written otherwise"),
    ],
)
def test_other_numbers_are_no_classes(labels, wrong):
    with pytest.raises(NoiselabError, match=rf"^l\.csv: label {wrong}"):
        label_file.check_names("l.csv", labels)


def test_other_columns_of_parquet_are_not_read(tmp_path):
    """They may hold images, and be of kinds that no label has."""
    frame = pd.DataFrame({"row": [0, 1], "image": [{"bytes": b"x"}] * 2, "label": [1, 0]})
    frame.to_parquet(tmp_path / "train.parquet")
    assert numbers(tmp_path / "train.parquet", ["0", "1"]) == [1, 0]
    assert np.array_equal(label_file.read(tmp_path / "train.parquet").items, ["0", "1"])
