"""Data sets that come out of installed packages: real input with nothing to download."""

import unicodedata
from functools import lru_cache
from pathlib import Path

import numpy as np

from noiselab import streams
from noiselab.data.prepared import Split, class_balanced
from noiselab.errors import NoiselabError


def digits(spec: dict) -> tuple[Split, Split, str]:
    """scikit-learn's 1,797 handwritten digits, 8x8 grey, split at random by class."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = streams.permutation(0, "digits-split", 0, len(data.target))
    labels = data.target[order].astype(np.int64)
    images = np.round(data.images[order] * (255 / 16)).astype(np.uint8)[:, None]
    test = class_balanced(labels, spec["test_size"], 10)
    rest = np.setdiff1d(np.arange(len(labels)), test)
    train = rest[class_balanced(labels[rest], spec["train_size"], 10)]
    origin = "scikit-learn load_digits (UCI optical recognition of handwritten digits)"
    splits = (Split(images[rows], labels[rows], order[rows]) for rows in (train, test))
    return *splits, origin


def glyphs(spec: dict) -> tuple[Split, Split, str]:
    """N Unicode characters in random DejaVu faces, sizes, places and angles: in random colours,
    or black on white where there is one channel."""
    characters = glyph_characters(spec["classes"])
    splits = []
    for split in ("train", "test"):
        labels = np.arange(spec[f"{split}_size"]) % spec["classes"]
        images = np.stack([_render(characters[y], spec, split, i) for i, y in enumerate(labels)])
        splits.append(Split(images, labels.astype(np.int64)))
    origin = f"rendered: {''.join(characters[:20])}… in the DejaVu fonts shipped with matplotlib"
    return *splits, origin


@lru_cache
def glyph_characters(n: int) -> list[str]:
    """The first n characters of a fixed random order of letters and digits, then symbols.

    Those in all twelve faces come first. Characters that look the same in DejaVu Sans (Latin,
    Greek and Cyrillic A, say) appear once.
    """
    coverage = list(_faces().values())
    everywhere = set.intersection(*coverage)
    common = [c for c in everywhere if unicodedata.category(chr(c)) in _LETTERS]
    rare = [c for c in set.union(*coverage) if unicodedata.category(chr(c)) in _LETTERS | _SYMBOLS]
    chosen: dict[bytes, str] = {}
    for group in (common, sorted(set(rare) - set(common))):
        group = sorted(group)
        for i in streams.permutation(0, "glyph-characters", 0, len(group)):
            character = chr(group[i])
            chosen.setdefault(_bitmap(character), character)
            if len(chosen) == n:
                return list(chosen.values())
    raise NoiselabError(f"data set glyphs-{n}: the DejaVu fonts have {len(chosen)} characters only")


_LETTERS = {"Lu", "Ll", "Lo", "Nd"}
_SYMBOLS = {"Nl", "No", "Sm", "So", "Sc", "Po"}
_DRAWING = 4  # images are drawn this many times larger, then scaled down


@lru_cache
def _faces() -> dict[str, set[int]]:
    """DejaVu font files shipped with matplotlib -> code points they have."""
    import matplotlib
    from matplotlib.ft2font import FT2Font

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    files = sorted(f for f in folder.glob("DejaVu*.ttf") if "Display" not in f.name)
    return {str(f): set(FT2Font(str(f)).get_charmap()) for f in files}


@lru_cache(maxsize=4096)
def _faces_of(character: str) -> list[str]:
    return [face for face, points in _faces().items() if ord(character) in points]


@lru_cache(maxsize=1024)
def _font(face: str, size: int):
    from PIL import ImageFont

    return ImageFont.truetype(face, size)


def _bitmap(character: str) -> bytes:
    """The character's shape in its first face, to find characters that look the same."""
    faces = _faces_of(character)
    upright = [face for face in faces if "Bold" not in face and "Oblique" not in face]
    face = (upright or faces)[0]
    return bytes(_font(face, 32).getmask(character))


def _render(character: str, spec: dict, split: str, index: int) -> np.ndarray:
    """One image uint8 [channels, size, size], a pure function of its arguments."""
    from PIL import Image, ImageDraw

    size = spec["size"]
    u = streams.uniform(0, f"glyphs-{split}", 16 * index, 16 * index + 16)
    faces = _faces_of(character)
    side = size * _DRAWING
    font = _font(faces[int(u[0] * len(faces))], int(side * (0.65 + 0.25 * u[1])))
    mask = Image.new("L", (side, side))
    centre = side / 2 + side * 0.1 * (2 * u[2:4] - 1)
    ImageDraw.Draw(mask).text(tuple(centre), character, fill=255, font=font, anchor="mm")
    mask = mask.rotate(30 * (u[4] - 0.5), resample=Image.Resampling.BILINEAR)
    ink = np.asarray(mask.resize((size, size), Image.Resampling.BOX), dtype=np.float64) / 255
    if spec["channels"] == 1:
        return np.round(255 * (1 - ink)).astype(np.uint8)[None]
    dark, light = 110 * u[5:8], 255 - 110 * u[8:11]
    front, back = (dark, light) if u[11] < 0.5 else (light, dark)
    image = back[:, None, None] + (front - back)[:, None, None] * ink
    return np.round(image).astype(np.uint8)
