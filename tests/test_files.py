"""Files are whole or not there."""

import os
import time

import pytest

from noiselab.errors import NoiselabError
from noiselab.files import read_json, sweep, whole_file, write_json, write_text


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"x": 1})

    def fail():
        with whole_file(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert read_json(path) == {"x": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_unwritable_places_are_named(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(NoiselabError, match="cannot write"):
        write_json(tmp_path / "folder", {})


@pytest.mark.parametrize("content", ["{", "", "[1,", "[" * 100_000], ids=lambda c: c[:3])
def test_broken_json_is_named(tmp_path, content):
    path = tmp_path / "broken.json"
    path.write_text(content)
    with pytest.raises(NoiselabError, match=r"broken\.json: not valid JSON"):
        read_json(path)


def test_what_killed_attempts_left_is_swept(tmp_path):
    dead, old = 2**22 + 1, time.time() - 3600  # more processes than Linux has
    names = {
        f".a.txt.{dead}.tmp": old,  # left
        f".a.txt.{dead + 1}.tmp": time.time(),  # perhaps of a process on another computer
        f".a.txt.{os.getppid()}.tmp": old,  # of one that is alive
        f".b.txt.{dead}.tmp": old,  # of another file
        ".a.txt.mine.tmp": old,  # of somebody else
        "a.txt.tmp": old,
    }
    for name, when in names.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (when, when))
    write_text(tmp_path / "a.txt", "new")
    left = {path.name for path in tmp_path.iterdir()} - {"a.txt"}
    assert left == set(names) - {f".a.txt.{dead}.tmp"}


def test_names_of_files_are_no_patterns(tmp_path):
    (tmp_path / f".ab.{2**22 + 1}.tmp").touch()
    sweep(tmp_path / "[a]b")
    assert len(list(tmp_path.iterdir())) == 1


def test_numbers_that_json_does_not_have_can_be_refused(tmp_path):
    path = tmp_path / "claims.json"
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"p": float("nan")}, allow_nan=False)
    assert not path.exists()
