"""Items of a test set that a training set has, too."""

import sys
from collections.abc import Hashable, Sequence


def count(name: str, unit: str, train: Sequence[Hashable], test: Sequence[Hashable]) -> int:
    """How many test items are among the training items, byte for byte; a line on stderr says so.

    name: of the data set. unit: what the items are. train, test: the items, or fingerprints.
    """
    known = set(train)
    found = sum(item in known for item in test)
    if found:
        print(
            f"noiselab: data set {name}: {found} of {len(test)} test {unit} are training {unit}, "
            "too, byte for byte",
            file=sys.stderr,
        )
    return found
