"""Preparation of data sets of image files: ImageNet, or any folder of images of a user.

The source is a folder `train` and a folder `val`, `validation` or `test`, each with a folder per
class; or parquet files `train*` and `val*` or `test*` as on the Hugging Face hub, there or below,
with columns `image` (bytes and path) and `label`. What is written: see noiselab.data.encoded.
"""

from noiselab.data.image_files.hub import access, available, download, refused
from noiselab.data.image_files.preparation import check, prepare

__all__ = ["access", "available", "check", "download", "prepare", "refused"]
