"""Pictures of a source as its specification promises them."""

import hashlib

import numpy as np
from PIL import Image

from noiselab.data import decoding
from noiselab.data.image_files.source import Item
from noiselab.errors import NoiselabError


def content(item: Item) -> tuple[bytes, str]:
    """An image's content, and its name for messages."""
    if isinstance(item.content, bytes):
        return item.content, item.name
    return decoding.read_file(item.content), str(item.content)


def picture(spec: dict, data: bytes, name: str) -> Image.Image:
    """The picture in as many channels as the data set has. NoiselabError: it is not as those that
    were looked at while planning, so what was found out does not hold."""
    key = f"config key datasets.{spec['name']}"
    if spec.get("grey") and not decoding.header(data, name).grey:
        raise NoiselabError(f"{name}: in colour, others are grey; say {key}.channels: 3, or 1")
    image = decoding.decoded(data, name, decoding.MODES[spec["channels"]])
    expected = spec.get("pixels")
    if expected and list(image.size) != list(expected):
        raise NoiselabError(
            f"{name}: {image.width} x {image.height} pixels, others have {expected[0]} x "
            f"{expected[1]}; say {key}.size, to which all are brought"
        )
    return image


def fingerprint(data: bytes) -> bytes:
    """What tells different contents apart."""
    return hashlib.blake2b(data, digest_size=16).digest()


def counts(view: np.ndarray) -> np.ndarray:
    """How often each value is there in each channel of a view uint8 [c, h, w], int64 [c, 256]."""
    return np.stack([np.bincount(channel.ravel(), minlength=256) for channel in view])


def moments(total: np.ndarray) -> dict[str, list[float]]:
    """Mean and standard deviation of each channel on the scale 0 to 1, from counts [c, 256]."""
    values, n = np.arange(256) / 255, total.sum(axis=1)
    mean = total @ values / n
    # Around the mean: a difference of large numbers would lose digits.
    variance = (total * (values - mean[:, None]) ** 2).sum(axis=1) / n
    return {"mean": mean.tolist(), "std": np.sqrt(variance).tolist()}
