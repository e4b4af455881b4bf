"""Images that stay encoded on disk and are decoded when they are asked for, as ImageNet's.

A prepared folder of such images (`storage` in dataset.json) has, for each split (train, test),
`{split}.bin`: the contents of the image files one after the other (storage `packed`), or their
paths relative to `folder` of dataset.json (storage `files`); `{split}_offsets.npy`: int64 [n + 1],
where each begins and the last ends; `{split}_y.npy`: labels, int64 [n]; `train_items.txt`: see
noiselab.items; `dataset.json`, which says the rest is whole.
Neither torch nor timm is imported with this module: it also serves the preparation.
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, cached_property, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from noiselab.data import decoding
from noiselab.data.text import mapped
from noiselab.errors import NoiselabError, first_line

PACKED, FILES = "packed", "files"  # storage

# Of ImageNet's pixels on the scale 0 to 1, as everyone uses them.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_CROP_SCALE = (0.08, 1.0)  # share of the image's area
_EVALUATION_SCALE = 256 / 224  # shorter side of a test image before its centre is cut out


class EncodedImages:
    """The images of one prepared split; memory-mapped when the first is read, and picklable.

    An integer gives a picture as it was decoded, a slice the views of evaluation.
    """

    square = False  # whether evaluation sees all of a picture's middle square: `square_view`

    def __init__(self, folder: Path, split: str, description: dict):
        self.name, self.split = description["name"], split
        self.channels, self.size, _ = description["shape"]  # of views, in pixels
        self.content_file = folder / f"{split}.bin"
        self.offsets_file = folder / f"{split}_offsets.npy"
        self.source = description["folder"] if description["storage"] == FILES else None

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """That of all views as one array."""
        return len(self), self.channels, self.size, self.size

    def view(self, image: Image.Image) -> np.ndarray:
        """What evaluation sees of a picture, uint8 [channels, size, size]."""
        return (square_view if self.square else test_view)(image, self.size)

    def __getitem__(self, i: int | slice) -> Image.Image | np.ndarray:
        """Image i in RGB or grey, or the views uint8 [n, channels, size, size] of some;
        NoiselabError, which says where it is, if one cannot be read."""
        if isinstance(i, slice):
            chosen = range(len(self))[i]
            made = [self.view(self[j]) for j in chosen]
            return np.stack(made) if made else np.empty((0, *self.shape[1:]), dtype=np.uint8)
        content = self._content[self._offsets[i] : self._offsets[i + 1]].tobytes()
        name = f"data set {self.name}: {self.split} image {i}"
        if self.source is not None:
            path = os.path.join(self.source, os.fsdecode(content))
            content, name = decoding.read_file(path), f"{name} ({path})"
        return decoding.decoded(content, name, decoding.MODES[self.channels])

    def check(self, size: int) -> None:
        """NoiselabError unless these are `size` whole images."""
        if len(self) != size:
            raise NoiselabError(
                f"{self.offsets_file}: {len(self)} images, dataset.json says {size}"
            )
        if len(self._content) != self._offsets[-1]:
            raise NoiselabError(
                f"{self.content_file}: {len(self._content)} bytes, should be {self._offsets[-1]}"
            )
        if self.source is not None and not os.path.isdir(self.source):
            raise NoiselabError(
                f"data set {self.name}: its images are no longer in {self.source}; prepare it again"
            )

    def __getstate__(self) -> dict:
        return {k: v for k, v in self.__dict__.items() if not k.startswith("_")}

    @cached_property
    def _offsets(self) -> np.ndarray:
        return mapped(self.offsets_file)

    @cached_property
    def _content(self) -> np.ndarray:
        try:
            return np.memmap(self.content_file, np.uint8, mode="r")
        except (OSError, ValueError) as error:  # ValueError: an empty file
            raise NoiselabError(f"{self.content_file}: {first_line(error)}") from error


def read(folder: Path, split: str, description: dict) -> tuple[EncodedImages, np.ndarray]:
    """Images and labels int64 [n] of a split; NoiselabError names what is missing or broken."""
    images = EncodedImages(folder, split, description)
    labels = mapped(folder / f"{split}_y.npy")
    images.check(description[f"{split}_size"])
    if len(labels) != len(images):
        raise NoiselabError(f"{folder / f'{split}_y.npy'}: {len(labels)}, not {len(images)} labels")
    return images, labels


# -------------------------------------------------------------------------------------- views


def train_view(image: Image.Image, settings: dict, seed: int) -> np.ndarray:
    """What training sees of an image, uint8 [c, size, size], a function of image and seed alone.

    A random part of the image (`crop_scale`: range of its share of the area, 0.08 to 1 by default;
    sides 3:4 to 4:3) is brought to `size` x `size`, mirrored with probability 1/2 (`flip`), and
    changed by timm's RandAugment (`randaugment`: its configuration string; null: not at all).
    """
    crop, augment = train_transforms(settings)
    mode = image.mode
    with _seeded(seed):
        view = crop(image if mode == decoding.RGB else image.convert(decoding.RGB))
        if settings["flip"] and random.random() < 0.5:
            view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if augment:
            view = augment(view)
    return decoding.channels_first(view if view.mode == mode else view.convert(mode))


def train_transforms(settings: dict) -> tuple[Callable, Callable | None]:
    """The crop and RandAugment of `train_view`; imports timm, which takes seconds, once.

    NoiselabError where timm does not know RandAugment's configuration.
    """
    scale = tuple(settings.get("crop_scale") or _CROP_SCALE)
    return _transforms(settings["size"], scale, settings.get("randaugment"))


@lru_cache
def _transforms(size: int, scale: tuple[float, float], randaugment: str | None):
    from timm.data.auto_augment import rand_augment_transform
    from timm.data.transforms import RandomResizedCropAndInterpolation

    crop = RandomResizedCropAndInterpolation(size, scale, interpolation="bicubic")
    if randaugment is None:
        return crop, None
    # As timm.data.create_transform chooses them.
    options = {
        "translate_const": int(size * 0.45),
        "img_mean": tuple(round(255 * m) for m in MEAN),
        "interpolation": Image.Resampling.BICUBIC,
    }
    try:
        return crop, rand_augment_transform(randaugment, options)
    except (AssertionError, ValueError) as error:
        reason = f"timm does not know {randaugment!r} ({first_line(error)})"
        raise NoiselabError(f"config key randaugment: {reason}") from error


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The global generators, which timm draws from, at a seed; then as they were before.

    NumPy's is exchanged for a while, as copying its state twice would take 0.2 ms per image.
    """
    python, numpy = random.getstate(), np.random.get_bit_generator()
    random.seed(seed)
    np.random.set_bit_generator(_spare_generator())
    np.random.seed([seed >> 32, seed & 0xFFFFFFFF])
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_bit_generator(numpy)


@cache
def _spare_generator() -> np.random.MT19937:
    return np.random.MT19937()


def test_view(image: Image.Image, size: int) -> np.ndarray:
    """What evaluation sees of an image, uint8 [c, size, size]: its centre, at 256/224 of `size`."""
    return _centre(with_shorter_side(image, round(size * _EVALUATION_SCALE)), size)


def square_view(image: Image.Image, size: int) -> np.ndarray:
    """The middle square of an image, all of it, uint8 [c, size, size]: what arrays of images are
    made of, and what families see that shift images."""
    return _centre(with_shorter_side(image, size), size)


def _centre(image: Image.Image, size: int) -> np.ndarray:
    left, top = (round((side - size) / 2) for side in image.size)
    return decoding.channels_first(image.crop((left, top, left + size, top + size)))


test_view.__test__ = False  # no test of pytest's


def with_shorter_side(image: Image.Image, pixels: int) -> Image.Image:
    """The image at another size, its shorter side these many pixels, antialiased."""
    width, height = image.size
    longer = int(pixels * max(width, height) / min(width, height))  # cut off, as torchvision does
    size = (pixels, longer) if width <= height else (longer, pixels)
    return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)
