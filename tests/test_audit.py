"""What audit and spectrum make of metrics, against the paper and by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from claim_rows import PUBLISHED, gradients, row, rows_of_print
from noiselab.answers import audit, spectrum
from noiselab.planning import config


def test_an_audit_row_is_the_difference_of_its_sides():
    text = pd.DataFrame([row("table2", "digits", "accuracy", 90.0, half=1.0)])
    released = pd.DataFrame([row("audit_schedule", "digits", "accuracy", 80.0, half=2.0)])
    metrics = {"table2": text, "audit_schedule": released}
    table = audit.audit_table(config.audit(["low_quality_data"]), metrics, gradients())
    found = table[table["difference"].str.startswith("Cosine")].iloc[0]
    assert found["effect"] == -10
    assert (found["effect_low"], found["effect_high"]) == pytest.approx(
        (-10 - np.sqrt(5), -10 + np.sqrt(5))
    )
    assert found["says"] == "released is lower"
    assert set(table["reason"].dropna()) == {
        "not run: audit_batch",
        "not run: table8, table8_released",
        "not run: table9, audit_symbols",
        "not run: table9, audit_pairs",
    }
    cosines = table[table["number"] == 6]
    assert list(cosines["says"]) == ["no difference can be seen"] * 3
    empty = table[table["number"] == 15].set_index("metric")
    assert list(empty["text"]) == [6.13, 0.84, 7.31]
    assert list(empty["released"]) == pytest.approx([6.13, 0.84 * 0.75, 6.13 / 0.84 / 0.75])
    assert list(empty["says"]) == ["no interval"] * 3


def test_seeds_of_an_audit_are_paired():
    sides = {}
    for name, values in (("table2", (90.0, 70.0)), ("audit_schedule", (89.0, 68.0))):
        rows = [row(name, "digits", "accuracy", v, seed=s) for s, v in enumerate(values)]
        sides[name] = pd.DataFrame(rows)
    table = audit.audit_table(config.audit(), sides, None)
    found = table[table["effect"].notna()].iloc[0]
    low, high = scipy_stats.t.interval(0.95, 1, -1.5, scipy_stats.sem([-1, -2]))
    assert tuple(found[["effect", "effect_low", "effect_high"]]) == pytest.approx((-1.5, low, high))
    assert found["interval"] == "t_seeds"


def test_an_audit_compares_the_seeds_that_both_sides_have():
    """Five trainings against one are one against one, with its interval over items."""
    text = [row("table2", "digits", "accuracy", 90.0 + s, seed=s, half=1.0) for s in range(5)]
    one = [row("audit_schedule", "digits", "accuracy", 80.0, seed=3, half=2.0)]
    sides = {"table2": pd.DataFrame(text), "audit_schedule": pd.DataFrame(one)}
    found = audit.audit_table(config.audit(), sides, None).iloc[0]
    assert (found["text"], found["effect"], found["n_seeds"]) == (93.0, -13.0, 1)
    assert found["effect_high"] - found["effect"] == pytest.approx(np.hypot(1.0, 2.0))
    assert found["says"] == "released is lower"
    two = [
        row("audit_schedule", "digits", "accuracy", v, seed=s) for s, v in ((4, 84.1), (1, 80.9))
    ]
    sides["audit_schedule"] = pd.DataFrame(two)
    found = audit.audit_table(config.audit(), sides, None).iloc[0]
    assert (found["effect"], found["n_seeds"], found["interval"]) == (-10.0, 2, "t_seeds")


def test_differences_of_an_audit_are_corrected_for_their_number():
    """Of four rows: an effect that is there by itself only, and one that is there."""

    def side(shift):
        rows = [row("x", d, "accuracy", 80.0, half=0.1) for d in ("a", "b", "c")]
        rows.append(row("x", "d", "accuracy", 80.0 + shift, half=np.sqrt(2)))
        return pd.DataFrame(rows)

    entry = {"number": 1, "difference": "d", "text": "t", "released": "r", "metrics": ["accuracy"]}
    entry |= {"noise_ratio": 1.0}
    found = {}
    for shift in (2.2, 9.0):
        sides = {"t": side(0.0), "r": side(shift)}
        table = audit.audit_table({"one": entry}, sides, None)
        found[shift] = table.set_index("dataset").loc["d"]
        assert set(table["says"][:3]) == {audit.UNSEEN}
    p = 2 * scipy_stats.norm.sf(2.2 * scipy_stats.norm.ppf(0.975) / 2)  # half-width 2
    assert found[2.2]["p_holm"] == pytest.approx(4 * p)
    assert found[2.2]["effect_low"] == pytest.approx(0.2)
    assert (
        found[2.2]["says"] == "released is higher in this row alone, not after the correction for 4"
    )
    assert found[9.0]["says"] == "released is higher"


def test_an_audit_of_which_nothing_was_run_says_so():
    entry = {"number": 1, "difference": "d", "text": "t", "released": "r", "metrics": ["accuracy"]}
    table = audit.audit_table({"one": entry | {"noise_ratio": 1.0}}, {}, None)
    assert list(table["reason"]) == ["not run: t, r"]
    assert table["p_holm"].isna().all()
    assert "not run" in audit.markdown(table, "desk")


def test_published_floors_by_hand():
    """Excess in points of the score, by hand."""
    table = spectrum.published_floors_table(PUBLISHED)
    expected = {
        ("diffusion", "cifar10"): [1.4, 2.7, 5.1, 6.7],
        # By hand at e = 3/13: floor 10/13 x 65.236 + 3/13 x 34.764 / 99 = 50.26, printed 38.88.
        ("diffusion", "cifar100"): [5.1, 11.4, 13.2, 15.8],
        ("classifier", "cifar10"): [0.2, 5.1, 6.1, 10.0],
    }
    for (family, dataset), points in expected.items():
        cells = table[(table["family"] == family) & (table["dataset"] == dataset)]
        clean = PUBLISHED["table1" if family == "diffusion" else "table2"]["metrics"]
        clean = clean["consistency" if family == "diffusion" else "accuracy"][dataset][0]
        assert list(cells["excess"][1:] * clean / 100) == pytest.approx(points, abs=0.06)
    cells = table[table["panel"].str.contains("fixed")]
    assert list(cells["excess"][1:] * 2.865 / 100) == pytest.approx(
        [0.016, 0.037, 0.075, 0.094], abs=0.001
    )


def test_the_spectrum_has_every_family_that_was_run():
    metrics = {name: pd.DataFrame(rows_of_print(name, 0.1)) for name in ("table1", "table7")}
    table = spectrum.spectrum_table(metrics, PUBLISHED)
    assert len(table) == 3 * 5
    last = table[(table["dataset"] == "cifar10") & (table["noise_ratio"] == 1.0)].iloc[0]
    assert last["ours"] == pytest.approx(last["published"])
    assert last["excess"] == pytest.approx(7.16, abs=0.01)


def test_a_difference_that_is_the_same_in_all_seeds_is_not_called():
    sides = {
        name: pd.DataFrame([row(name, "digits", "accuracy", v, seed=s) for s in range(3)])
        for name, v in (("table2", 90.0), ("audit_schedule", 80.0))
    }
    found = audit.audit_table(config.audit(), sides, None).iloc[0]
    assert (found["effect"], found["effect_low"], found["effect_high"]) == (-10, -10, -10)
    assert found["says"] == "trainings of one value do not show how much others would differ"
