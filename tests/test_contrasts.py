"""Two experiments side by side, against the arithmetic of their seeds."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from noiselab.answers import layouts, notes, tables
from noiselab.answers.contrasts import contrast, contrasts_table
from noiselab.answers.pairs import usual
from noiselab.errors import NoiselabError

ENTRY = {"label": "people, same matrix", "first": "matrix", "second": "human", "metric": "accuracy"}


def rows(values, floors, corruption="given_labels", seeds=None):
    """Rows of a metric as collect_metrics writes them, and a clean run's."""
    seeds = seeds or range(len(values))
    own = {"family": "classifier", "dataset": "cifar10", "stands_in_for": "cifar10"}
    own |= {"protocol": "text", "metric": "accuracy", "unit": "%", "interval": "wilson_items"}
    noisy = [
        own
        | {"corruption": corruption, "seed": s, "value": v, "floor": f}
        | {"ci_low": v - 1, "ci_high": v + 1}
        for s, v, f in zip(seeds, values, floors, strict=True)
    ]
    return pd.DataFrame(
        [own | {"corruption": "none", "seed": 0, "value": 99.0, "floor": 99.0}, *noisy]
    )


def test_seeds_are_paired():
    first, second = np.array([80.0, 82, 84]), np.array([79.0, 80, 83.5])
    table = contrasts_table(
        {"matrix": rows(first, first + 1), "human": rows(second, second + 3)}, [ENTRY]
    )
    plain, above = table.to_dict("records")
    low, high = stats.t.interval(0.95, 2, (second - first).mean(), stats.sem(second - first))
    assert plain["ours"] == pytest.approx((second - first).mean())
    assert (plain["ci_low"], plain["ci_high"]) == pytest.approx((low, high))
    assert plain["n_seeds"] == 3
    assert above["ours"] == pytest.approx(-2)  # 3 below its floor against 1
    assert above["metric"] == "excess_difference"
    assert "people, same matrix" in layouts.markdown(table, "t", [])


def test_only_seeds_that_both_have_are_compared():
    first, second = rows([80.0, 90.0], [80, 80]), rows([70.0, 60.0], [70, 70], seeds=[1, 2])
    noisy = [side[side["corruption"] != "none"] for side in (first, second)]
    found = contrast(*noisy)
    assert found.effect.value == -20
    assert found.n_seeds == 1
    assert found.effect.interval != "t_seeds"


def test_of_what_was_not_run_there_is_no_row():
    assert len(contrasts_table({"matrix": rows([80.0], [80.0])}, [ENTRY])) == 0
    unknown = rows([80.0], [np.nan])
    table = contrasts_table({"matrix": unknown, "human": unknown}, [ENTRY])
    assert list(table["metric"]) == ["accuracy_difference"]


def test_experiments_without_rates_have_a_row_each():
    """The clean runs, which they share, come first."""
    extra = {"run_id": "r", "noise_ratio": np.nan, "error_rate": np.nan, "source_share": np.nan}
    extra |= {"items": 100, "measured_error_rate": 0.0}
    sides = {"matrix": rows([80.0, 82.0], [81, 81]), "human": rows([78.0, 79.0], [82, 82])}
    for name, side in sides.items():
        noisy = side["corruption"] != "none"
        side[list(extra)] = list(extra.values())
        side["reason"] = None
        side.loc[noisy, "run_id"] = [f"{name}-{seed}" for seed in side.loc[noisy, "seed"]]
        side.loc[noisy, "measured_error_rate"] = 0.17
    table = tables.experiments_table(sides, {"human": "people"}, ["accuracy"])
    assert list(table["row"]) == ["clean labels", "matrix, 17 % wrong", "people, 17 % wrong"]
    assert list(table["ours"]) == [99, 81, 78.5]
    assert list(table["excess"]) == [0, 0, -3.5]
    assert list(table["n_seeds"]) == [1, 2, 2]


def test_a_contrast_can_be_of_one_noise_ratio():
    sides = {"matrix": rows([80.0], [80.0]), "human": rows([70.0], [70.0])}
    for side, clean in zip(sides.values(), (99.0, 98.5), strict=True):
        side["noise_ratio"] = np.where(side["corruption"] == "none", 0.0, 1.0)
        side.loc[side["corruption"] == "none", "value"] = clean
        side["ci_low"], side["ci_high"] = side["value"] - 1, side["value"] + 1
    entries = [ENTRY | {"noise_ratio": 0}, ENTRY | {"noise_ratio": 1, "label": "r = 1"}]
    table = contrasts_table(sides, entries)
    plain = table[table["metric"] == "accuracy_difference"]
    assert list(plain["ours"]) == [-0.5, -10]


def test_without_one_there_is_a_row_per_noise_ratio_with_noise():
    """Seeds are paired within each: 10 less at r = 0.5, 20 less at r = 1."""
    sides = {}
    for name, less in (("matrix", 0), ("human", 10)):
        parts = [rows([80.0 - k * less, 84.0 - k * less], [80.0, 80.0]) for k in (1, 2)]
        for part, ratio in zip(parts, (0.5, 1.0), strict=True):
            part["noise_ratio"] = np.where(part["corruption"] == "none", 0.0, ratio)
        sides[name] = pd.concat([parts[0], parts[1][1:]])
    table = contrasts_table(sides, [ENTRY])
    plain = table[table["metric"] == "accuracy_difference"]
    labels = [f"people, same matrix, r = {ratio}" for ratio in ("0.5", "1")]
    assert list(plain["row"]) == labels
    assert list(plain["ours"]) == [-10, -20]
    assert list(plain["n_seeds"]) == [2, 2]


def test_a_note_says_which_differences_stay_after_the_correction():
    """Three seeds each: one has p = 0.0001, three have p = 0.017, and 3 times that is too much."""
    clear = {"matrix": rows([80.0, 82, 84], [80] * 3), "human": rows([75.0, 77.1, 79.2], [80] * 3)}
    close = {"a": rows([80.0, 82, 84], [80] * 3), "b": rows([79.0, 80.4, 82.7], [80] * 3)}
    others = [ENTRY | {"label": f"close {n}", "first": "a", "second": "b"} for n in range(3)]
    table = contrasts_table(clear | close, [ENTRY, *others])
    table = table[table["metric"] == "accuracy_difference"]
    assert (table["ci_high"] < 0).all()  # each by itself
    (note,) = (n for n in notes.notes(table, "desk", "f.") if "Holm" in n)
    panel = table["panel"].iloc[0]
    kept = f"people, same matrix ({panel})"
    assert note == f"Not 0 after Holm's correction for these 4 differences: {kept}."
    (note,) = (n for n in notes.notes(table[1:], "desk", "f.") if "Holm" in n)
    assert note.endswith("3 differences: none.")
    assert not any("Holm" in line for line in notes.notes(table[:1], "desk", "f."))


def tried(values, name, settings):
    """Rows of seeds in several settings (batch, learning rate), which are worth so much more."""
    parts = []
    for place, (batch, pace) in enumerate(settings):
        part = rows([v + 10 * batch * (pace or 1) for v in values], values)
        part = part[part["corruption"] != "none"].assign(
            batch_multiplier=batch, learning_rate_multiplier=pace, noise_ratio=1.0
        )
        parts.append(part.assign(run_id=[f"{name}{place}s{seed}" for seed in part["seed"]]))
    return pd.concat(parts)


SETTINGS = [(1, 1.0), (2, 1.0), (1, 2.0), (4, 0.5)]


@pytest.mark.parametrize("second", [SETTINGS, SETTINGS[::-1], SETTINGS[:1], [(1, None)]])
def test_of_a_grid_the_usual_setting_is_compared(second):
    """Seeds are paired within it, in whatever order the rows come, and count once."""
    sides = {
        "matrix": tried([80.0, 83.0], "a", SETTINGS),
        "human": tried([81.0, 85.0], "b", second),
    }
    table = contrasts_table(sides, [ENTRY])
    plain = table[table["metric"] == "accuracy_difference"].iloc[0]
    assert (plain["ours"], plain["n_seeds"]) == (pytest.approx(1.5), 2)


def test_the_usual_setting_is_the_least_batch_of_each_noise_and_the_nearest_rate():
    """A larger batch that all runs of a noise ratio have is no grid."""
    settings = {0.0: [(1, 0.5), (1, 1), (2, 1)], 1.0: [(12, 0.25), (12, 4), (12, 2), (24, 1)]}
    own = [
        {"dataset": "d", "noise_ratio": r, "batch_multiplier": k, "learning_rate_multiplier": p}
        for r, tried in settings.items()
        for k, p in tried
    ]
    found = usual(pd.DataFrame(own))
    assert found.iloc[:, 1:].to_numpy().tolist() == [[0, 1, 1], [1, 12, 2]]


def test_a_seed_with_several_trainings_is_refused():
    first = tried([80.0, 83.0], "a", [(1, 0.5), (1, 2.0)])
    with pytest.raises(NoiselabError, match=r"2 trainings of seed 0 .*\(a0s0, a1s0\).*have 1 am"):
        contrast(first, rows([80.0], [80.0]))
