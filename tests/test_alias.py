"""Alias tables: exact, and the labels drawn by them have the frequencies of T."""

import numpy as np
import pytest
from scipy import stats

from noiselab import streams
from noiselab.noise.alias import AliasTable, aliases
from noiselab.noise.corruptions.asymmetric import Asymmetric
from noiselab.noise.corruptions.labels import Symmetric, UniformLabel
from noiselab.noise.corruptions.matrices import LabelMatrix, TransitionMatrix

DRAWS = 1_000_000
CERTAIN = 1e-7  # a right matrix is refused with this probability, a wrong one nearly never


def stochastic(classes: int, seed: int = 0, concentration: float = 0.3) -> np.ndarray:
    """Rows of probabilities, some of them 0, float [C, C]."""
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.full(classes, concentration), classes)
    rows *= (rng.random(rows.shape) < 0.7) | np.eye(classes, dtype=bool)
    return rows / rows.sum(1, keepdims=True)


def off_diagonal(classes: int, seed: int = 0) -> np.ndarray:
    wrong = stochastic(classes, seed) * (1 - np.eye(classes)) + 1e-3 * (1 - np.eye(classes))
    return wrong / wrong.sum(1, keepdims=True)


@pytest.mark.parametrize(
    "rows",
    [
        np.eye(4),
        np.full((3, 3), 1 / 3),
        np.full((1, 7), 1 / 7),
        np.array([[1e-300, 1 - 1e-300], [0.5, 0.5]]),
        np.array([[0.0, 0.0, 1.0], [0.5, 0.5, 0.0], [0.1, 0.8, 0.1]]),
        stochastic(2),
        stochastic(10),
        stochastic(257, concentration=0.01),
        np.random.default_rng(0).dirichlet(np.ones(1000), 20),
    ],
    ids=lambda rows: str(rows.shape),
)
def test_chances_and_aliases_are_the_probabilities(rows):
    """Column k is drawn with 1 / C, and then it or its alias: added up, that is each row."""
    chance, alias = aliases(rows)
    count, columns = rows.shape
    assert np.all((chance >= 0) & (chance <= 1 + 1e-12))
    found = chance / columns
    np.add.at(found, (np.arange(count)[:, None], alias), (1 - chance) / columns)
    assert found == pytest.approx(rows, abs=1e-14)
    assert np.all(rows[np.arange(count)[:, None], alias][chance < 1] > 0)


def test_any_v_draws_what_its_row_has():
    rows = stochastic(50, seed=3)
    table, every = AliasTable(rows), np.arange(50, dtype=np.int32)
    for v in (0.0, 5e-324, 0.5, 1 - 2.0**-53, 1.0):
        drawn = table.draw(every, np.full(50, v))
        assert drawn.dtype == every.dtype
        assert np.all(rows[every, drawn] > 0)
    assert table.draw(every.reshape(5, 10), np.full((5, 10), 0.3)).shape == (5, 10)


def test_an_alias_table_is_a_function_of_v_that_spreads_evenly():
    """Equally spaced v give the probabilities up to the spacing: no digits are lost."""
    rows = stochastic(10, seed=1)
    n = 200_000
    v = (np.arange(n) + 0.5) / n
    for y in range(10):
        drawn = AliasTable(rows).draw(np.full(n, y), v)
        assert np.bincount(drawn, minlength=10) / n == pytest.approx(rows[y], abs=20 / n)


# ------------------------------------------------------------------------------- frequencies


def p_value(transitions: np.ndarray, labels: np.ndarray, drawn: np.ndarray) -> float:
    """Of the chi-squared test that labels were drawn by T, cell by cell and by what is observed
    alone. Cells with few draws count together, class by class; a draw that cannot be makes it 0."""
    classes = len(transitions)
    counts = np.bincount(labels * classes + drawn, minlength=classes**2).reshape(classes, -1)
    expected = counts.sum(1, keepdims=True) * transitions
    if counts[expected == 0].any():
        return 0.0
    large = expected >= 10
    rest = np.stack([np.where(large, 0, a).sum(1) for a in (counts, expected)])
    rest = rest[:, rest[1] >= 10]
    by_cell = np.stack([np.append(counts[large], rest[0]), np.append(expected[large], rest[1])])
    by_column = np.stack([counts.sum(0), expected.sum(0)])
    by_column = by_column[:, by_column[1] >= 10]
    freedom = len(by_cell[0]) - len(np.unique(labels)), len(by_column[0]) - 1
    tests = zip((by_cell, by_column), freedom, strict=True)
    return min(stats.chi2.sf(((a - b) ** 2 / b).sum(), n) if n else 1.0 for (a, b), n in tests)


KINDS = {
    "label_matrix": lambda c: LabelMatrix(0.4, off_diagonal(c)),
    "transition_matrix": lambda c: TransitionMatrix(stochastic(c, seed=c)),
    "uniform_label": lambda c: UniformLabel(0.4, c),
    "symmetric": lambda c: Symmetric(0.4, c),
    "asymmetric": lambda c: Asymmetric(0.4, c),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_drawn_labels_have_the_frequencies_of_t(kind, classes):
    noise = KINDS[kind](classes)
    labels = np.arange(DRAWS) % classes
    drawn, corrupted = noise.draw(labels, streams.uniform(0, "noise", 0, DRAWS))
    assert np.array_equal(corrupted, drawn != labels)
    assert p_value(noise.transitions, labels, drawn) > CERTAIN


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_one_of_a_thousand_classes_have_the_frequencies_of_its_row(kind):
    noise, labels = KINDS[kind](1000), np.full(DRAWS, 624)
    drawn, _ = noise.draw(labels, streams.uniform(2, "noise", 0, DRAWS))
    assert p_value(noise.transitions, labels, drawn) > CERTAIN
    other = np.roll(noise.transitions, 1, axis=1)
    assert p_value(other, labels, drawn) < CERTAIN


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_labels_of_another_matrix_are_noticed(classes):
    """The same test refuses labels of a matrix whose rates are a few points higher, and of one with
    two rows exchanged."""
    right = TransitionMatrix(0.9 * stochastic(classes, seed=classes) + 0.1 * np.eye(classes))
    labels, u = np.arange(DRAWS) % classes, streams.uniform(0, "noise", 0, DRAWS)
    higher = TransitionMatrix(0.9 * right.transitions + 0.1 / classes)
    turned = TransitionMatrix(np.roll(right.transitions, 1, axis=0))
    assert p_value(right.transitions, labels, right.draw(labels, u)[0]) > CERTAIN
    for wrong in (higher, turned):
        assert p_value(right.transitions, labels, wrong.draw(labels, u)[0]) < CERTAIN


@pytest.mark.parametrize("kind", KINDS)
def test_with_the_same_u_what_is_wrong_at_a_small_rate_is_so_at_a_larger(kind):
    if kind == "transition_matrix":
        t = stochastic(10)
        made = [TransitionMatrix((1 - s) * np.eye(10) + s * t) for s in (0.2, 0.9)]
    elif kind == "label_matrix":
        made = [LabelMatrix(e, off_diagonal(10)) for e in (0.1, 0.45)]
    else:
        made = [type(KINDS[kind](10))(e, 10) for e in (0.1, 0.45)]
    labels, u = np.arange(20_000) % 10, streams.uniform(1, "noise", 0, 20_000)
    few, many = (noise.draw(labels, u)[1] for noise in made)
    assert 0 < few.sum() < many.sum()
    assert np.all(many[few])


@pytest.mark.parametrize("columns", [1, 2, 10, 4096, 4097, 20_000])
def test_tables_of_any_size_draw_their_row(columns):
    """Sizes at which a chance and a column no longer fit into 32 bits, too."""
    row = np.random.default_rng(columns).dirichlet(np.ones(columns))
    v = (np.arange(400_000) + 0.5) / 400_000
    drawn = AliasTable(row[None]).draw(np.zeros(400_000, dtype=int), v)
    counts = np.bincount(drawn, minlength=columns)
    assert counts.sum() == 400_000
    assert np.abs(counts / 400_000 - row).max() < 5 / 400_000 * max(1, columns**0.5)
