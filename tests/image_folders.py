"""Small folders of image files, and parquet files of them, for the tests."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

CLASSES = ["n00000003", "n00000007", "n00000011", "n00000020"]


def picture(seed: int, size=(40, 30), mode="RGB") -> Image.Image:
    """A smooth random picture, so that JPEG changes it little."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).convert(mode)


def image_folder(folder: Path, train=5, test=2, size=(40, 30), validation="val") -> Path:
    """train/<class>/*.JPEG and val/<class>/*.JPEG, pictures with and across all classes."""
    seed = 0
    for split, count in (("train", train), (validation, test)):
        for name in CLASSES:
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                seed += 1
                image = picture(seed, size[:: 1 if i % 2 else -1])  # every other one upright
                image.save(folder / split / name / f"{name}_{i}.JPEG", quality=95)
    return folder


def parquet_folder(folder: Path, tree: Path, paths=True) -> Path:
    """The images of an image folder in its order, in two files and small row groups."""
    for split, name in (("train", "train"), ("val", "validation")):
        files = sorted((tree / split).rglob("*.JPEG"))
        rows = [{"bytes": f.read_bytes(), "path": f.name if paths else None} for f in files]
        labels = [CLASSES.index(f.parent.name) for f in files]
        (folder / "data").mkdir(parents=True, exist_ok=True)
        half = len(rows) // 2 + 1
        for number, part in enumerate((slice(0, half), slice(half, None))):
            kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
            table = pa.table({"image": pa.array(rows[part], kind), "label": labels[part]})
            path = folder / "data" / f"{name}-{number:05d}-of-00002.parquet"
            pq.write_table(table, path, row_group_size=3)
    return folder


def image_spec(**changes) -> dict:
    """The specification of `image_folder`'s data set."""
    spec = {"name": "photos", "kind": "image_files", "classes": 4, "channels": 3, "size": 16}
    sizes = {"train_size": 20, "test_size": 8}
    return spec | sizes | {"resize": None, "class_list": None, "hub": "someone/photos"} | changes


def jpeg(image: Image.Image) -> bytes:
    """An image as a JPEG file's content."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()
