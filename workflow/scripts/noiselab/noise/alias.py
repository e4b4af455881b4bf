"""Drawing from many discrete distributions at once, in constant time per draw (Walker, 1977)."""

import numpy as np

LEAST = 20  # bits of a chance: a probability is off by at most 2^-20 / columns


class AliasTable:
    """Rows of probabilities to draw columns from.

    A uniform number picks a column, and its digits behind choose between this column and one other,
    its alias. probabilities: float64 [R, C], rows sum to 1.
    """

    def __init__(self, probabilities: np.ndarray):
        chance, alias = aliases(probabilities)
        self.columns = probabilities.shape[1]
        # Both in one number, and a small one: looking up is what takes time.
        self.shift = (self.columns - 1).bit_length()
        small = self.shift + LEAST <= 32
        self.bits = (32 if small else 62) - self.shift
        chance = np.minimum(chance * 2.0**self.bits, 2.0**self.bits - 1).astype(np.int64)
        entries = (chance << self.shift | alias).ravel()
        self._entries = entries.astype(np.uint32) if small else entries

    def draw(self, rows: np.ndarray, v: np.ndarray) -> np.ndarray:
        """A column for each of these rows, as `rows`, int of any shape. v: uniform numbers of its
        shape, 0 to 1."""
        scale = self.columns * 2.0**self.bits
        digits = np.minimum(v * scale, scale - 1).astype(np.int64)
        columns = digits >> self.bits
        entries = self._entries[rows * self.columns + columns]
        keeps = digits & (1 << self.bits) - 1 < entries >> self.shift
        alias = entries & (1 << self.shift) - 1
        return np.where(keeps, columns, alias).astype(rows.dtype)


def aliases(probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row and column the chance, float64 [R, C], that a draw of this column keeps it, and
    the column, int64 [R, C], that it becomes otherwise.

    All rows at once, a column per step: the heaviest one gives what the lightest one lacks. As soon
    as no more than its share is left of it, the next heaviest gives what it lacks.
    """
    rows, columns = probabilities.shape
    every, order = np.arange(rows), np.argsort(probabilities, axis=1, kind="stable")
    weight = np.take_along_axis(probabilities, order, axis=1) * columns
    chance, alias = np.ones((rows, columns)), order.copy()
    light, heavy = np.zeros(rows, dtype=np.int64), np.full(rows, columns - 1)
    left = weight[:, -1].copy()  # of the heavy column
    for _ in range(columns - 1):
        gives = left > 1
        filled, giver = np.where(gives, light, heavy), np.where(gives, heavy, heavy - 1)
        has = np.where(gives, weight[every, light], left)
        chance[every, filled], alias[every, filled] = has, order[every, giver]
        left = np.where(gives, left, weight[every, giver]) - (1 - has)
        light, heavy = light + gives, giver
    places = np.argsort(order, axis=1)
    return np.take_along_axis(chance, places, 1), np.take_along_axis(alias, places, 1)
