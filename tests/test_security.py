"""What comes from a results folder or a data file is read, and never done.

Beside these: pickles (test_reading, test_checkpoints), tags of YAML (test_yaml_files), a shell's
commands in names (test_paths, test_given_labels), ways out of a folder (test_checks,
test_bad_images), huge pictures (test_decoding).
"""

import zipfile

import numpy as np
import pytest

from noiselab import reading
from noiselab.answers.report import figures
from noiselab.errors import NoiselabError
from report_files import SVG


@pytest.mark.parametrize(
    "harm",
    [
        "<script>alert(1)</script>",
        '<g onload="alert(1)"/>',
        '<g OnClick = "alert(1)"/>',
        '<a href="javascript:alert(1)"><text>x</text></a>',
        '<image href="https://example.org/seen.png"/>',
        '<image xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="//example.org/seen.png"/>',
        "<foreignObject><body/></foreignObject>",
        '<use href="other.svg#x"/>',
        '<animate attributeName="href" to="javascript:alert(1)"/>',
        '<style>@import "https://example.org/seen.css";</style>',
        "<style>g { fill: URL( https://example.org/seen.svg) }</style>",
        r"<style>g { fill: \75rl(https://example.org/seen.svg) }</style>",
        """<g fill="url('https://example.org/seen.svg#x')"/>""",
    ],
)
def test_a_drawing_that_does_more_is_refused(tmp_path, harm):
    path = tmp_path / "a.svg"
    path.write_text(SVG, encoding="utf-8")
    assert figures.drawing(path) == SVG
    path.write_text(SVG.replace("</svg>", f"{harm}</svg>"), encoding="utf-8")
    with pytest.raises(NoiselabError, match="more than draw; remove it"):
        figures.drawing(path)


def test_a_drawing_may_point_into_itself(tmp_path):
    path = tmp_path / "a.svg"
    own = '<style>g { clip-path: url( "#a") }</style><g fill="url(#b)"><text>url(x)</text></g>'
    path.write_text(SVG.replace("</svg>", f"{own}</svg>"), encoding="utf-8")
    assert "url(x)" in figures.drawing(path)


@pytest.mark.parametrize(
    "text", ["", "<p>x</p>", "<svg ><g></svg>", "<svg ></svg><script>alert(1)</script>"]
)
def test_what_is_no_drawing_cannot_leave_its_place_in_the_page(tmp_path, text):
    path = tmp_path / "a.svg"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(NoiselabError, match="no svg"):
        figures.drawing(path)


def test_an_archive_that_unpacks_to_very_much_is_refused_before(tmp_path, monkeypatch):
    """A hundred thousand zeros take a few hundred bytes."""
    path = tmp_path / "a.npz"
    np.savez_compressed(path, a=np.zeros(100_000))
    assert path.stat().st_size < 2000
    assert reading.arrays(path)["a"].sum() == 0
    monkeypatch.setattr(reading, "LARGEST", 100_000)
    monkeypatch.setattr(np.lib.format, "read_array", None)  # nothing is unpacked
    with pytest.raises(NoiselabError, match=r"unpacks to 800,1\d\d bytes, more than 100,000"):
        reading.arrays(path)


def test_an_archives_paths_are_names_and_no_places(tmp_path):
    """Entries are read into memory under their names, wherever these point to."""
    path, outside = tmp_path / "in" / "a.npz", tmp_path / "harm.npy"
    path.parent.mkdir()
    np.save(tmp_path / "b.npy", np.arange(3))
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(tmp_path / "b.npy", "../harm.npy")
    assert list(reading.arrays(path)) == ["../harm"]
    assert not outside.exists()
