"""Models that were trained elsewhere, as backbones of probes.

A run is a model as one task sees it, so that its features have a place; nothing is trained. The
model is a folder, as transformers or timm save it, or comes from the Hugging Face hub.
"""

from noiselab.families.descriptor import IMAGES, TEXTS, Family
from noiselab.run import Run

NAME = "pretrained"


def mark(run: Run) -> str | None:
    """The file that says that a model is downloaded; None: its folder was there."""
    return f"{run.folder}/.complete" if "hub" in run else None


FAMILY = Family(
    name=NAME,
    title="Pre-trained models",
    order=8,
    kinds=(),
    models={},
    facts=lambda spec, recipe: {},
    clean_examples=lambda spec, recipe: 0,
    stages=(),
    features=(IMAGES, TEXTS),
    trained=False,
)
