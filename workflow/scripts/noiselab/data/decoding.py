"""One decoder for all image data: from a file's content to an upright picture of 8-bit RGB or grey.

- The EXIF orientation is applied, so that a picture is as a viewer shows it.
- What is transparent lies on white.
- 16-bit grey is scaled, 65,535 to 255, and not clipped; so are floats, which must be from 0 to 1.
  16-bit colour loses its lower byte.
- Refused: animations and files of several pictures, whole numbers of 32 bits or with a sign, whose
  range nobody knows, and pictures so large that they look like an attack.

All that is refused is a NoiselabError of one line that names the picture.
"""

import io
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from noiselab.errors import NoiselabError, first_line

RGB, GREY = "RGB", "L"
MODES = {1: GREY, 3: RGB}  # channels -> Pillow's mode of decoded pictures
# No others: some of Pillow's readers start other programs.
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
WHITE = (255, 255, 255, 255)
_ORIENTATION, _BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 0x0112, 258, 262, 339  # of EXIF and TIFF
_SIGNED = 2  # a sample format
_TRANSPOSED = (5, 6, 7, 8)  # orientations that exchange width and height
_GREYS = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F")
# A JPEG may have a preview beside its picture.
_SINGLE = ("JPEG", "MPO")


class Header(NamedTuple):
    """What a file says of its picture before it is decoded: pixels as it is shown, and whether it
    is without colour."""

    width: int
    height: int
    grey: bool


def read_file(path: str | Path) -> bytes:
    """The content of a file; NoiselabError where it cannot be read, or is a pipe or a device, which
    might never end."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise NoiselabError(f"cannot read {path}: no regular file")
        return Path(path).read_bytes()
    except OSError as error:
        raise NoiselabError(f"cannot read {path}: {error.strerror}") from error


def decoded(content: bytes, name: str, mode: str = RGB) -> Image.Image:
    """The picture that a file's content is, in RGB or L; NoiselabError with `name`: it is none."""
    with _readable(name):
        image = _opened(content)
        image.load()
        return _plain(_upright(image), mode)


def check(content: bytes, name: str) -> None:
    """NoiselabError with `name` unless the content of a file is a whole picture."""
    with _readable(name):
        image = _opened(content)
        image.draft(None, (1, 1))  # reads all of a JPEG, at a third of the time
        image.load()
        _check_pixels(image)
        if image.mode in ("I", "F"):
            _eight_bits(image)


def header(content: bytes | Path, name: str) -> Header:
    """What the file says of its picture, which is not decoded. NoiselabError with `name`: nothing
    that is understood."""
    with _readable(name):
        image = _opened(content)
        width, height = image.size
        if image.format != "TIFF" and _orientation(image) in _TRANSPOSED:  # a TIFF's is upright
            width, height = height, width
        return Header(width, height, _is_grey(image))


def channels_first(image: Image.Image) -> np.ndarray:
    """A picture uint8 [c, h, w] of pixels that lie in memory as they were decoded, [h, w, c]."""
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


# ------------------------------------------------------------------------------------- opening


def _opened(content: bytes | Path) -> Image.Image:
    """A picture that is not decoded yet."""
    if not content or (isinstance(content, Path) and content.stat().st_size == 0):
        raise NoiselabError("the file is empty")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # an error, below
        warnings.filterwarnings("ignore", "Corrupt EXIF", UserWarning)
        image = Image.open(
            io.BytesIO(content) if isinstance(content, bytes) else content, "r", FORMATS
        )
    width, height = image.size
    if width < 1 or height < 1:
        raise NoiselabError(f"a picture of {width} x {height} pixels")
    if Image.MAX_IMAGE_PIXELS and width * height > Image.MAX_IMAGE_PIXELS:
        raise NoiselabError(f"{width} x {height} pixels are more than are safe to decode")
    if image.format not in _SINGLE and getattr(image, "n_frames", 1) > 1:
        raise NoiselabError(f"{image.n_frames} pictures in one file; keep the one that is meant")
    return image


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except NoiselabError as error:
        raise NoiselabError(f"{name}: {error}") from error
    except UnidentifiedImageError as error:
        raise NoiselabError(f"{name}: not an image of a known format; save it as PNG") from error
    except Exception as error:  # Pillow raises OSError, ValueError, SyntaxError, struct.error, …
        raise NoiselabError(f"{name}: image cannot be read ({first_line(error)})") from error


# ---------------------------------------------------------------------------------- converting


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # of EXIF data that are none; the picture itself may be whole
        return 1


def _upright(image: Image.Image) -> Image.Image:
    return image if _orientation(image) == 1 else ImageOps.exif_transpose(image)


def _plain(image: Image.Image, mode: str) -> Image.Image:
    """A picture of 8 bits without transparency."""
    _check_pixels(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image)
    if image.mode in ("P", "PA") and mode == GREY:
        image = image.convert(RGB)  # the palette's colours, and only then how light they are
    return image if image.mode == mode else image.convert(mode)  # convert always copies


def _check_pixels(image: Image.Image) -> None:
    """NoiselabError: nobody knows what pixels look like."""
    tags = getattr(image, "tag_v2", {})
    if _SIGNED in tags.get(_SAMPLE_FORMAT, ()) and tags.get(_BITS, (1,))[0] < 32:
        raise NoiselabError("whole numbers with a sign, whose white is not known; save it without")
    if image.mode == "P":
        last, colours = image.getextrema()[1], len(image.palette.palette) // len(image.palette.mode)
        if last >= colours:
            raise NoiselabError(f"a pixel has colour {last} of a palette of {colours}")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits, or of floats, as 8 bits: black stays black, white white."""
    pixels, tags = np.asarray(image), getattr(image, "tag_v2", {})
    if image.mode == "F":
        return Image.fromarray(_bytes(pixels, 1.0))
    bits = tags.get(_BITS, (16,))[0]
    if image.mode == "I" and (bits != 16 or pixels.min() < 0 or pixels.max() > 65_535):
        raise NoiselabError(
            "whole numbers of 32 bits, whose white is not known; save it with 8 or 16"
        )
    scaled = _bytes(pixels.astype(np.float64), 2.0**bits - 1)
    scaled = 255 - scaled if tags.get(_PHOTOMETRIC) == 0 else scaled
    transparent = pixels == image.info.get("transparency", -1)
    return Image.fromarray(np.where(transparent, np.uint8(255), scaled))


def _bytes(pixels: np.ndarray, white: float) -> np.ndarray:
    """Pixels from 0 to `white` as uint8."""
    if not np.isfinite(pixels).all():
        raise NoiselabError("a pixel is no finite number")
    low, high = pixels.min(), pixels.max()
    if low < 0 or high > white:
        raise NoiselabError(f"pixels from {low:g} to {high:g}; must be from 0 to {white:g}")
    return np.round(pixels.astype(np.float64) * (255 / white)).astype(np.uint8)


def _is_grey(image: Image.Image) -> bool:
    if image.mode not in ("P", "PA"):
        return image.mode in _GREYS
    palette = np.array(image.getpalette(RGB)).reshape(-1, 3)
    return bool((palette == palette[:, :1]).all())
