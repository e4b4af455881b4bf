"""Images of cats and dogs of 8 x 8 pixels, and why they are refused, for the tests."""

import numpy as np
import pytest
from PIL import Image

from noiselab.data import image_files
from noiselab.errors import NoiselabError

SPEC = {"name": "pets", "kind": "image_files", "classes": 2, "channels": 3, "size": 8}
SPEC |= {"resize": None, "train_size": 6, "test_size": 4, "flip": False}


def image(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8))


def refused(source, tmp_path, **changes) -> str:
    with pytest.raises(NoiselabError) as error:
        image_files.prepare(SPEC | changes, source, 1, tmp_path / "out")
    assert not (tmp_path / "out" / "dataset.json").exists()
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)
