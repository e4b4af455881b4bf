"""Files are whole or not there."""

import pytest

from noiselab.errors import NoiselabError
from noiselab.files import read_json, whole_file, write_json


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


@pytest.mark.parametrize("content", ["{", "", "[1,"])
def test_broken_json_is_named(tmp_path, content):
    path = tmp_path / "broken.json"
    path.write_text(content)
    with pytest.raises(NoiselabError, match=r"broken\.json: not valid JSON"):
        read_json(path)
