"""Image data of any form: `kind: images`.

The source is torchvision's archive of CIFAR, parquet files, folders of classes, or folders of
images with a file of their labels. Classes, channels, size and numbers of images are found out.
They become arrays (noiselab.data.prepared) or stay encoded (noiselab.data.encoded).
"""

from noiselab.data.image_files.hub import access, available, download
from noiselab.data.images.arrays import arrays
from noiselab.data.images.found import check, found

__all__ = ["access", "arrays", "available", "check", "download", "found"]
