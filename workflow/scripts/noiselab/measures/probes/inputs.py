"""What fits of probes are given: settings and items, checked and converted.

A wrong one raises InputError, which is a ValueError, with one line.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from noiselab import arguments
from noiselab.errors import InputError
from noiselab.measures.probes.effects import PENALTIES, without_effect

CLASSES = 100_000  # more are a mistake, such as numbers of items


@dataclass(frozen=True)
class Setting:
    """How a head is fitted.

    penalty: of PENALTIES, times strength λ; radius: γ of t̂ = t + γ δ, δ standard normal.
    noisy_loss: the cross-entropy is that of t̂. dropout: probability that a feature is 0.
    InputError: a value that cannot be, or one that would change nothing.
    """

    learning_rate: float
    batch_size: int = 8
    weight_decay: float = 0.0
    penalty: str = "none"
    strength: float = 0.0
    radius: float = 0.0
    noisy_loss: bool = False
    dropout: float = 0.0

    def __post_init__(self):
        arguments.choice(self.penalty, list(PENALTIES), "penalty")
        arguments.whole(self.batch_size, "batch_size", 1)
        for name in ("learning_rate", "weight_decay", "strength", "radius", "dropout"):
            value = getattr(self, name)
            number = isinstance(value, Real | np.number) and not isinstance(value, bool)
            if not number or not 0 <= value < np.inf:
                raise InputError(f"{name}: must be a finite number, 0 or more, found {value!r}")
        if self.learning_rate == 0:
            raise InputError("learning_rate: must be above 0, or nothing is learned")
        if self.dropout >= 1:
            raise InputError(f"dropout: must be below 1, found {self.dropout!r}")
        if not isinstance(self.noisy_loss, bool | np.bool_):
            raise InputError(f"noisy_loss: must be True or False, found {self.noisy_loss!r}")
        noise = (self.penalty, self.strength, self.radius, self.noisy_loss)
        if mistake := without_effect(*noise):
            raise InputError(mistake)

    @property
    def has_noise(self) -> bool:
        return self.noisy_loss or self.penalty != "none"


class Items(NamedTuple):
    """Features [n, d] in single or double precision, and their labels, whole numbers [n]; torch or
    NumPy."""

    features: Tensor
    labels: Tensor


def checked_items(train: Items, scored: Mapping[str, Items]) -> tuple[Items, dict[str, Items]]:
    """Both as tensors, labels int64. InputError: they cannot be fitted or scored."""
    if not isinstance(scored, Mapping):
        raise InputError("scored: must map names to Items(features, labels)")
    train = _items(train, "train")
    found = {name: _items(items, name) for name, items in scored.items()}
    width, classes = train.features.shape[1], int(train.labels.max()) + 1
    if classes > CLASSES:
        raise InputError(
            f"train: label {classes - 1} is too large, at most {CLASSES - 1} will do; "
            "number the classes from 0"
        )
    for name, items in found.items():
        features = items.features
        if features.shape[1] != width:
            raise InputError(f"{name}: features must be [items, {width}], as those of train")
        for what in ("dtype", "device"):
            ours, wanted = (getattr(x, what) for x in (features, train.features))
            if ours != wanted:
                raise InputError(f"{name}: features have {what} {ours}, those of train {wanted}")
        if int(items.labels.max()) >= classes:
            raise InputError(f"{name}: labels outside of 0 to {classes - 1}, those of train")
    return train, found


def checked_settings(settings: Iterable[Setting]) -> list[Setting]:
    """As a list. InputError: they are no settings."""
    known = isinstance(settings, Iterable) and not isinstance(settings, str | Mapping)
    found = list(settings) if known else []
    if not found or not all(isinstance(setting, Setting) for setting in found):
        raise InputError("settings: must be a list of one Setting or more")
    return found


def checked_seeds(seeds: Iterable[int]) -> list[int]:
    """As a list. InputError: they are no seeds."""
    if not isinstance(seeds, Iterable) or isinstance(seeds, str):
        raise InputError(f"seeds: must be a list of whole numbers, found {seeds!r}")
    numbers = seeds.tolist() if isinstance(seeds, np.ndarray | Tensor) else list(seeds)
    if not numbers:
        raise InputError("seeds: must be one or more, found none")
    return [arguments.whole(seed, "seeds", 0) for seed in numbers]


def _items(items: Items, name: str) -> Items:
    """A set of items as tensors on the features' device. InputError names the set."""
    if not isinstance(items, tuple | list) or len(items) != 2:
        raise InputError(f"{name}: must be Items(features, labels)")
    features = _tensor(items[0], f"{name}: features")
    if features.dtype not in (torch.float32, torch.float64):
        found = str(features.dtype).removeprefix("torch.")
        raise InputError(
            f"{name}: features are {found}, not float32 or float64; call .float() "
            "(NumPy: .astype('float32'))"
        )
    if features.ndim != 2 or not features.shape[1]:
        raise InputError(f"{name}: features must be [items, width], found {list(features.shape)}")
    given = items[1].cpu() if isinstance(items[1], Tensor) else items[1]
    labels = arguments.labels(given, None, name=f"{name}: labels")
    if len(features) != len(labels):
        raise InputError(f"{name}: {len(features)} features, {len(labels)} labels")
    if not bool(features.isfinite().all()):
        raise InputError(f"{name}: features that are no finite numbers")
    return Items(features, torch.from_numpy(labels).to(features.device))


def _tensor(values, name: str) -> Tensor:
    """Of frozen values; a tensor stays on its device."""
    if isinstance(values, Tensor):
        return values.detach()
    array = arguments.numbers(values, name, "fiub")
    try:
        return torch.from_numpy(np.require(array, array.dtype.newbyteorder("="), ["C", "W"]))
    except TypeError as error:  # such as float128
        raise InputError(f"{name}: torch has no {array.dtype}") from error
