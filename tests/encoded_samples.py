"""Runs on encoded images, and prepared folders of them, for the tests."""

from helpers import small_run
from image_folders import image_spec, parquet_folder
from noiselab.data import image_files

VIEW = {"size": 16, "flip": True, "crop_scale": [0.08, 1.0], "randaugment": "rand-m9-n2-mstd0.5"}


def packed_photos(folder, tree):
    """The images of an image folder, prepared from parquet files; all lies in `folder`."""
    source = parquet_folder(folder / "parquet" / "photos", tree)
    image_files.prepare(image_spec(), source, 1, folder / "packed")
    return folder / "packed"


def encoded_run(batch_size=10, steps=12, micro_batch_size=None, randaugment=None, **changes):
    run = small_run() | {"size": 16, "classes": 4}
    run |= {"augment": VIEW | {"randaugment": randaugment}}
    run |= {"training": run["training"] | {"batch_size": batch_size, "steps": steps}}
    run |= {"training": run["training"] | {"micro_batch_size": micro_batch_size}}
    return run | changes
