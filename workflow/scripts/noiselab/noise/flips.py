"""Which class becomes which under class-dependent noise that the field knows by name."""

# Truck to automobile, bird to airplane, deer to horse, cat and dog to each other (Patrini et al.,
# 2017, "Making deep neural networks robust to label noise").
CIFAR10 = {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}
# Superclass of each class of CIFAR-100, in its usual order (apple … worm).
SUPERCLASSES = (
    *(4, 1, 14, 8, 0, 6, 7, 7, 18, 3, 3, 14, 9, 18, 7, 11, 3, 9, 7, 11, 6, 11, 5, 10, 7),
    *(6, 13, 15, 3, 15, 0, 11, 1, 10, 12, 14, 16, 9, 11, 5, 5, 19, 8, 8, 15, 13, 14, 17, 18, 10),
    *(16, 4, 17, 4, 2, 0, 17, 4, 18, 17, 10, 3, 2, 12, 12, 16, 12, 1, 9, 19, 2, 10, 0, 1, 16),
    *(12, 9, 13, 15, 13, 16, 19, 2, 4, 6, 19, 5, 5, 8, 19, 18, 1, 2, 15, 6, 0, 17, 8, 14, 13),
)


def circular(groups: tuple[int, ...]) -> dict[int, int]:
    """Each class becomes the next of its group, the last one the first. groups: of each class."""
    members: dict[int, list[int]] = {}
    for label, group in enumerate(groups):
        members.setdefault(group, []).append(label)
    return {y: m[(m.index(y) + 1) % len(m)] for m in members.values() for y in m if len(m) > 1}


KNOWN = {"cifar10": CIFAR10, "cifar100": circular(SUPERCLASSES)}
SIZES = {"cifar10": 10, "cifar100": 100}


def pairs(classes: int) -> dict[int, int]:
    """Every second class becomes the one after it: half of the classes are untouched."""
    return {y: y + 1 for y in range(0, classes - 1, 2)}


def usual(dataset: str, classes: int) -> tuple[dict[int, int], str]:
    """Flips of a data set, and where they are from: those that the field knows for it, or
    `pairs`."""
    if SIZES.get(dataset) == classes:
        return KNOWN[dataset], dataset
    return pairs(classes), "pairs"


def checked(flips: dict[str, int], classes: int) -> dict[int, int]:
    """Flips as an experiment says them, source class -> target class. ValueError says what is
    wrong, with the key in front."""
    found = {}
    for source, target in flips.items():
        known = source.isdecimal() and source.isascii() and str(int(source)) == source
        if not known or int(source) >= classes:
            raise ValueError(f"{source}: no class; {classes} classes are 0 to {classes - 1}")
        if not 0 <= target < classes:
            raise ValueError(
                f"{source}: {target} is no class; {classes} classes are 0 to {classes - 1}"
            )
        if target == int(source):
            raise ValueError(f"{source}: class {target} would stay what it is; leave it out")
        found[int(source)] = target
    return found
