"""Kinds of data sets: what each is made of once it is prepared, and by which rule."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """A kind of data set."""

    rule: str  # that prepares it
    files: tuple[str, ...]  # prepared, beside dataset.json
    download: str | None  # rule that fetches it where there is no local copy; None: embedded
    packages: tuple[str, ...] = ()  # that embedded data come out of, where the data set names none
    fixed: Mapping[str, int] = field(default_factory=dict)  # what each such data set has
    examples: int | None = None  # that there are; None: not known before they are read


ITEMS = "train_items.txt"  # where each training image is in its source: noiselab.items
IMAGES = ("train_x.npy", "train_y.npy", "test_x.npy", "test_y.npy", ITEMS)
FILES = (
    *(
        f"{split}{suffix}"
        for split in ("train", "test")
        for suffix in (".bin", "_offsets.npy", "_y.npy")
    ),
    ITEMS,
)
TOKENS = ("train.npy", "validation.npy", "unigram.npy", "tokenizer.json")
# Texts out of the domain of a data set, that models are scored on, too: keys of its specification,
# and names of files, `<key>.npy`.
DOMAINS = ("out_of_domain", "second_domain")
# Keys of a specification that say nothing of what is trained on.
OF_DOMAINS = (*DOMAINS, "domain_curves")
SOURCE_LENGTHS = "source_lengths.npy"  # tokens of each training source before any is clipped
PAIRS = (
    *(
        f"{split}_{side}{suffix}.npy"
        for split in ("train", "validation")
        for side in ("source", "target")
        for suffix in ("", "_offsets")
    ),
    SOURCE_LENGTHS,
    "tokenizer.json",
)

LABELLED = ("texts.parquet",)

KINDS = {
    "digits": Kind(
        "prepare_images",
        IMAGES,
        None,
        ("sklearn",),
        fixed={"classes": 10, "channels": 1, "size": 8},
        examples=1797,
    ),
    "glyphs": Kind("prepare_images", IMAGES, None, ("matplotlib", "PIL")),
    "cifar": Kind("prepare_images", IMAGES, "download_images"),
    "image_files": Kind("prepare_image_files", FILES, "download_image_files"),
    "images": Kind("prepare_images", IMAGES, "download_image_files"),
    # What `images` is called in a plan where they are decoded on the way.
    "encoded_images": Kind("prepare_image_files", FILES, "download_image_files"),
    "docstrings": Kind("prepare_text", TOKENS, None),
    "text": Kind("prepare_text", TOKENS, "download_text"),
    "docstring_pairs": Kind("prepare_pairs", PAIRS, None),
    "pairs": Kind("prepare_pairs", PAIRS, "download_pairs"),
    "modular_addition": Kind("prepare_algorithmic", IMAGES, None),
    "sparse_parity": Kind("prepare_algorithmic", IMAGES, None),
    "labelled_docstrings": Kind("prepare_labelled_texts", LABELLED, None),
    "labelled_texts": Kind("prepare_labelled_texts", LABELLED, "download_labelled_texts"),
}


def prepared_by(rule: str) -> tuple[str, ...]:
    """The kinds that a rule prepares."""
    return tuple(name for name, kind in KINDS.items() if kind.rule == rule)


FOUND_KINDS = ("images", "encoded_images")  # that are found out
IMAGE_KINDS = prepared_by("prepare_images")  # arrays that fit in memory
FILE_KINDS = prepared_by("prepare_image_files")  # decoded on the way
ALGORITHMIC_KINDS = prepared_by("prepare_algorithmic")  # tokens in the place of channels
TEXT_KINDS = prepared_by("prepare_text")
PAIR_KINDS = prepared_by("prepare_pairs")
LABELLED_KINDS = prepared_by("prepare_labelled_texts")


def is_numeric(spec: Mapping) -> bool:
    """Whether a data set's targets are numbers, not classes. spec: its specification, dataset.json,
    or a run on it."""
    return spec.get("target_range") is not None
