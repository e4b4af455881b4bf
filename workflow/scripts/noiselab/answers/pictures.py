"""Grids of small images as PNG files."""

from pathlib import Path

import numpy as np
from PIL import Image

from noiselab.files import whole_file

SIDE = 48  # pixels that an image is enlarged to, about


def grid(images: np.ndarray, labels: np.ndarray, classes: int, columns: int) -> np.ndarray:
    """The first images of the first classes, a row per class: uint8 [rows, columns, c, h, w].

    images: uint8 [N, c, h, w]; labels: int [N]. Where a class has too few, black ones follow.
    """
    rows = np.zeros((classes, columns, *images.shape[1:]), dtype=np.uint8)
    for label in range(classes):
        found = images[np.flatnonzero(labels == label)[:columns]]
        rows[label, : len(found)] = found
    return rows


def tiled(rows: np.ndarray, gap: int = 1) -> np.ndarray:
    """Images [rows, columns, c, h, w] side by side with white gaps, uint8 [H, W, 3]."""
    count, columns, channels, height, width = rows.shape
    framed = np.pad(rows, [(0, 0)] * 3 + [(0, gap), (0, gap)], constant_values=255)
    flat = framed.transpose(0, 3, 1, 4, 2).reshape(
        count * (height + gap), columns * (width + gap), channels
    )
    return np.broadcast_to(flat, (*flat.shape[:2], 3))


def sheet(images: np.ndarray, labels: np.ndarray, columns: int, most: int = 10) -> np.ndarray:
    """The first images of up to ten classes, a row per class, uint8 [H, W, 3]."""
    return tiled(grid(images, labels, min(most, int(labels.max()) + 1), columns))


def save_grid(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    """Write a PNG with ten images of each of up to ten classes, enlarged without blurring."""
    picture = Image.fromarray(np.ascontiguousarray(sheet(images, labels, columns=10)))
    scale = max(1, SIDE // images.shape[-1])
    size = (picture.width * scale, picture.height * scale)
    with whole_file(path) as temporary:
        picture.resize(size, Image.Resampling.NEAREST).save(temporary, format="PNG")
