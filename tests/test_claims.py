"""Claims: rules, rulers and verdicts, against simulation and the paper itself."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from claim_rows import (
    PUBLISHED,
    decided,
    gradients,
    printed,
    row,
    rows_of_print,
    stability,
    the_test,
)
from noiselab.answers import claims, verdicts
from noiselab.answers.claims import NOT_ASKED, NOT_DECIDABLE, Measured
from noiselab.answers.competence import WEAK
from noiselab.answers.rulers import LOSSES
from noiselab.answers.rules import FAILS, HOLDS, UNDECIDED, apply_rule
from noiselab.errors import NoiselabError
from noiselab.measures import statistics as stats
from noiselab.measures.statistics import Estimate
from noiselab.planning import config

NUMBERS = ("value", "ci_low", "ci_high")
CLOSED_FORMS = ("information_maximum", "information_falls_with_classes")  # need no run


# ------------------------------------------------------------------------------ rules


@pytest.mark.parametrize(
    ("rule", "low", "high", "verdict"),
    [
        ({"above": 0}, 0.1, 2, HOLDS),
        ({"above": 0}, 0, 2, UNDECIDED),
        ({"above": 0}, 0, 0, FAILS),
        ({"above": 0}, -2, -1, FAILS),
        ({"at_least": 50}, 50, 60, HOLDS),
        ({"at_least": 50}, 49, 60, UNDECIDED),
        ({"at_least": 50}, 40, 49.9, FAILS),
        ({"at_most": 3}, -9, 3, HOLDS),
        ({"at_most": 3}, 2, 4, UNDECIDED),
        ({"at_most": 3}, 3.1, 4, FAILS),
        ({"between": [1, 2]}, 1, 2, HOLDS),
        ({"between": [1, 2]}, 0.5, 1.5, UNDECIDED),
        ({"between": [1, 2]}, 0, 3, UNDECIDED),
        ({"between": [1, 2]}, 2.1, 3, FAILS),
        ({"between": [1, 2]}, 0, 0.9, FAILS),
    ],
)
def test_the_interval_decides(rule, low, high, verdict):
    assert apply_rule(rule, Estimate((low + high) / 2, low, high, "t_items")) == verdict


def test_no_interval_no_verdict():
    assert apply_rule({"above": 0}, Estimate(5.0, None, None, "none")) == UNDECIDED


# ------------------------------------------------------------------------------ the paper itself


def test_the_printed_number_is_the_statistic_of_the_printed_tables():
    for name, claim in PUBLISHED["claims"].items():
        kind = claims.STATISTICS[claim["statistic"]["kind"]]
        by_ruler = kind.printed(claim["statistic"], PUBLISHED)
        if claim["printed"] is None:
            assert by_ruler == {}, name
            continue
        own = by_ruler.get(claim["statistic"].get("ruler"), next(iter(by_ruler.values())))
        if name == "loss_steadies":
            own = by_ruler["noisy model"]
        assert claim["printed"] == pytest.approx(own, rel=2e-3), name


def test_the_papers_own_numbers_hold_where_its_data_were_run():
    measured = Measured("paper", printed(1e-6), gradients(1e-6), stability(10**9))
    verdicts_ = {name: claim["verdict"] for name, claim in decided(measured).items()}
    # One seed gives no interval of an FID; three trainings are too few to say that none diverges.
    for name in ("images_stay_good", "images_stay_good_cifar100", "divergence"):
        assert verdicts_.pop(name) == NOT_DECIDABLE
    assert verdicts_.pop("information_falls_with_classes") == FAILS
    assert set(verdicts_.values()) == {HOLDS}


def test_a_claim_is_wrong_where_the_numbers_are_the_clean_ones():
    measured = printed(1e-6)
    for rows in measured.values():
        lost_metrics = [name for losses in LOSSES.values() for name in losses[:2]]
        rows.loc[rows["metric"].isin(lost_metrics), list(NUMBERS)] = 0.0
    found = decided(Measured("paper", measured))
    for name in ("diffusion_collapses", "spectrum", "scale_protects", "language_model_level"):
        assert found[name]["verdict"] == FAILS


def test_runs_with_other_noise_than_the_papers_decide_nothing():
    """A setting of one's own may give an experiment of the paper another corruption."""
    rows = rows_of_print("table7")
    other = [r | {"corruption": "permuted_token"} if r["noise_ratio"] else r for r in rows]
    decided = [
        claims.decide(PUBLISHED, Measured("quick", {"table7": pd.DataFrame(chosen)}))["claims"]
        for chosen in (rows, other)
    ]
    tests = [
        [len(claim["tests"]) for claim in of_rows if claim["name"] not in CLOSED_FORMS]
        for of_rows in decided
    ]
    assert sum(tests[0]) > sum(tests[1]) == 0


def test_stand_ins_never_decide_the_published_claim():
    stand_ins = printed(1e-6, lambda name: {"cifar10": "digits"}.get(name, f"like-{name}"))
    text = {"dataset": "docstrings"}
    measured = Measured("quick", stand_ins, gradients(1e-6, **text), stability(10**9, **text))
    for name, claim in decided(measured).items():
        if name in CLOSED_FORMS:
            continue
        assert claim["verdict"] == NOT_DECIDABLE
        (test,) = claim["tests"]
        assert "tier quick, one training" in test["where"]
        expected = HOLDS if PUBLISHED["claims"][name]["transfers"] else NOT_ASKED
        expected = UNDECIDED if name.startswith("images_stay_good") else expected
        assert test["verdict"] == expected, name
    assert "digits" in decided(measured)["diffusion_collapses"]["because"]


def bases(tier, dataset_of=lambda name: name):
    """How many claims have which verdict, by what it rests on."""
    measured = Measured(tier, printed(1e-6, dataset_of), gradients(1e-6), stability(10**9))
    found = decided(measured, *(n for n in PUBLISHED["claims"] if n not in CLOSED_FORMS))
    return {
        basis: {name for name, claim in found.items() if claim["by_basis"][basis] == HOLDS}
        for basis in claims.BASES
    }, found


def test_verdicts_rest_on_stand_ins_the_papers_data_or_both_data_and_recipe():
    paper, lab, desk = (bases(tier)[0] for tier in ("paper", "lab", "desk"))
    assert not any(found["stand_in"] for found in (paper, lab, desk))
    assert paper["as_published"] == desk["paper_data"] > lab["as_published"] > set()
    assert paper["paper_data"] == desk["as_published"] == set()
    assert lab["as_published"] | lab["paper_data"] == paper["as_published"]
    stand_in = bases("paper", lambda name: f"like-{name}")[0]
    assert stand_in["stand_in"]
    assert not stand_in["paper_data"]


def test_each_claim_says_what_remains_open():
    for tier, basis in (("paper", "as_published"), ("desk", "paper_data")):
        held, found = bases(tier)
        for name in held[basis]:
            expected = "" if tier == "paper" else "the paper's network and length of training"
            assert found[name]["open"].startswith(expected)
            assert bool(found[name]["open"]) == bool(expected)
    nothing = decided(Measured("desk", {}), "diffusion_collapses")["diffusion_collapses"]
    assert nothing["open"].startswith("CIFAR-10, and the paper's network")
    assert set(nothing["by_basis"].values()) == {claims.NOT_TESTED}


def test_the_papers_data_at_a_smaller_tier_decide_no_level():
    found = decided(Measured("lab", printed(1e-6)))
    assert found["language_model_level"]["verdict"] == NOT_DECIDABLE
    assert "needs tier paper" in found["language_model_level"]["because"]
    assert found["diffusion_collapses"]["verdict"] == HOLDS


def test_with_nothing_run_every_claim_says_what_is_missing():
    content = claims.decide(PUBLISHED, Measured("quick", {}))
    others = [claim for claim in content["claims"] if claim["name"] not in CLOSED_FORMS]
    assert {claim["verdict"] for claim in others} == {NOT_DECIDABLE}
    assert all("nothing that it rests on was run" in claim["because"] for claim in others)
    for render in verdicts.FORMATS.values():
        assert "not tested" in render(content)
    assert verdicts.tidy(content)["claim"].nunique() == len(content["claims"])


@pytest.mark.parametrize("study", ["random_noise", "noise_stability"])
def test_with_nothing_run_no_claim_of_another_study_is_decided(study):
    content = claims.decide(config.published([study]), Measured("quick", {}))
    assert content["claims"]
    assert {claim["verdict"] for claim in content["claims"]} <= {NOT_DECIDABLE, NOT_ASKED}
    for render in verdicts.FORMATS.values():
        assert render(content)


def test_a_wide_interval_decides_nothing():
    measured = printed(100.0)
    measured["table1"].loc[measured["table1"]["metric"] == "consistency", "ci_low"] = 90.0
    found = decided(Measured("paper", measured))
    assert found["diffusion_collapses"]["verdict"] == NOT_DECIDABLE
    assert "both answers" in found["diffusion_collapses"]["because"]


# ------------------------------------------------------------------------------ rulers


def test_the_other_rulers_of_the_published_numbers():
    """SPEC: of 53.45 points that CIFAR-10 diffusion loses, 6.7 are above the floor; the classifier
    loses 9.95."""
    found = decided(Measured("paper", printed(1e-6)))
    (test,) = found["diffusion_collapses"]["tests"]
    by_name = {ruler["ruler"]: ruler for ruler in test["rulers"]}
    assert by_name["absolute"]["value"] == pytest.approx(53.452)
    assert by_name["absolute, above the floor"]["value"] == pytest.approx(6.74, abs=0.01)
    assert by_name["absolute, above the floor"]["published"] == pytest.approx(6.74, abs=0.01)
    (test,) = found["spectrum"]["tests"]
    by_name = {ruler["ruler"]: ruler for ruler in test["rulers"]}
    assert test["verdict"] == HOLDS
    assert by_name["relative, above the floor"]["verdict"] == FAILS  # the ranking turns over
    assert by_name["absolute, above the floor"]["value"] == pytest.approx(6.74 - 9.95, abs=0.01)
    assert by_name["absolute, above the floor"]["verdict"] is None  # one ruler decides


def test_relative_and_absolute_rulers_of_two_units_are_not_mixed():
    rows = [row("table1", "digits", "consistency_drop", 50.0, of="cifar10", unit="points")]
    other = [row("table2", "digits", "accuracy_drop", 10.0, of="cifar10", unit="nats")]
    measured = Measured("quick", {"table1": pd.DataFrame(rows), "table2": pd.DataFrame(other)})
    assert the_test("spectrum", measured)["value"] is None


def test_a_model_at_chance_has_nothing_to_lose():
    rows = [row("table1", "digits", "consistency", 12.0, of="cifar10", ratio=0.0, half=3.0)]
    rows += [row("table1", "digits", "consistency_relative_drop", 80.0, of="cifar10", half=1.0)]
    test = the_test("diffusion_collapses", Measured("quick", {"table1": pd.DataFrame(rows)}))
    assert (test["verdict"], test["value"]) == (WEAK, None)
    assert "above chance" in test["reason"]


# ------------------------------------------------------------------------------ seeds


def test_seeds_give_a_t_interval_of_paired_losses():
    values, floors = [9.0, 12.0, 10.5], [1.0, 2.0, 0.0]
    rows = [
        row("table2", "digits", "accuracy_drop", v, of="cifar10", floor=f, seed=s, unit="points")
        for s, (v, f) in enumerate(zip(values, floors, strict=True))
    ]
    test = the_test("classifiers_decline", Measured("quick", {"table2": pd.DataFrame(rows)}))
    low, high = scipy_stats.t.interval(0.95, 2, np.mean(values), scipy_stats.sem(values))
    assert [test[k] for k in NUMBERS] == pytest.approx([10.5, low, high])
    assert (test["interval"], test["seeds"]) == ("t_seeds", 3)
    above = next(r for r in test["rulers"] if r["ruler"] == "absolute, above the floor")
    excess = np.subtract(values, floors)
    low, high = scipy_stats.t.interval(0.95, 2, excess.mean(), scipy_stats.sem(excess))
    assert [above[k] for k in NUMBERS] == pytest.approx([excess.mean(), low, high])


def test_the_interval_of_a_difference_is_over_the_seeds_of_the_side_that_has_several():
    """Four trainings against one: the t has three degrees of freedom, not those of the one."""
    values = [60.0, 69.0, 64.0, 71.0]
    low, high = scipy_stats.t.interval(0.95, 3, np.mean(values), scipy_stats.sem(values))
    keys = {"of": "cifar10", "unit": "%"}
    rows = [
        row("table1", "digits", "consistency_relative_drop", v, seed=seed, **keys)
        for seed, v in enumerate(values)
    ]
    text = {"of": "openwebtext", "half": 0.001, "unit": "%", "interval": "t_sequences"}
    other = [row("figure1_runs", "docstrings", "nll_relative_rise", 18.0, **text)]
    metrics = {"table1": pd.DataFrame(rows), "figure1_runs": pd.DataFrame(other)}
    test = the_test("language_model_against_diffusion", Measured("quick", metrics))
    assert (test["seeds"], test["interval_seeds"]) == (1, 4)
    found = (test["ci_low"], test["ci_high"])
    assert found == pytest.approx((low - 18, high - 18), abs=1e-3)


def test_an_interval_of_a_difference_covers():
    rng, hits = np.random.default_rng(0), 0
    for _ in range(600):
        a, b = rng.binomial(200, 0.9), rng.binomial(80, 0.3)
        pair = [stats.wilson_interval(a, 200), stats.wilson_interval(b, 80)]
        estimates = [Estimate(v, *i) for v, i in zip((a / 200, b / 80), pair, strict=True)]
        _, low, high, _ = stats.difference(*estimates)
        hits += low <= 0.6 <= high
    assert 0.92 < hits / 600 < 0.985


def test_three_trainings_of_one_claim_are_tested_with_two_degrees_of_freedom():
    values = [9.0, 12.0, 10.5]
    rows = [
        row("table2", "digits", "accuracy_drop", v, of="cifar10", seed=s, unit="points")
        for s, v in enumerate(values)
    ]
    rows += [
        row("table2", "digits", "accuracy", 97.0, of="cifar10", ratio=0.0, seed=s, half=1)
        for s in range(3)
    ]
    measured = Measured("quick", {"table2": pd.DataFrame(rows)})
    (test,) = decided(measured, "classifiers_decline")["classifiers_decline"]["tests"]
    assert test["verdict"] == HOLDS
    assert test["p"] == pytest.approx(scipy_stats.ttest_1samp(values, 0).pvalue)
    assert test["detectable"] > 0


@pytest.mark.parametrize("side", ["noisy", "clean"])
def test_a_training_that_diverged_leaves_no_number(side):
    """Its seed has no loss; the others are not the whole."""
    keys = {"of": "cifar10", "unit": "points"}
    lost = {"value": np.nan, "ci_low": np.nan, "ci_high": np.nan, "reason": "training diverged"}
    rows = []
    for seed in range(5):
        gone = lost if seed > 2 else {}
        clean = row("table2", "digits", "accuracy", 97.0, ratio=0.0, seed=seed, half=1, **keys)
        rows.append(clean | (gone if side == "clean" else {}))
        for metric in ("accuracy_drop", "accuracy_relative_drop"):
            rows.append(row("table2", "digits", metric, 9.0 + seed, seed=seed, **keys) | gone)
    test = the_test("classifiers_decline", Measured("quick", {"table2": pd.DataFrame(rows)}))
    assert (test["value"], test["p"]) == (None, None)
    weak = "digits: its clean score was not measured"  # which the gate says
    assert test["verdict"] == (UNDECIDED if side == "noisy" else WEAK)
    assert test["reason"] == ("training diverged" if side == "noisy" else weak)
    noise = PUBLISHED["table10"]["corruption"]
    other = [r | {"value": 20.0, "reason": None, "corruption": noise} for r in rows]
    metrics = {"table2": pd.DataFrame(rows), "table10": pd.DataFrame(other)}
    test = the_test("structured_noise_is_worse", Measured("quick", metrics))
    assert test["value"] is None
    assert ("training diverged" if side == "noisy" else weak) in test["reason"]


def test_settings_of_a_grid_are_no_seeds():
    """The claim is about the usual setting, of which there is one training."""
    keys = {"of": "cifar10", "unit": "points", "half": 0.5}
    rows = [row("table2", "digits", "accuracy", 97.0, ratio=0.0, **keys)]
    for batch, pace in ((4, 1), (1, 1), (1, 2)):
        grid = {"batch_multiplier": batch, "learning_rate_multiplier": pace}
        value = 5.0 + batch + pace
        rows.append(row("table2", "digits", "accuracy_drop", value, **keys, **grid))
        clean = row("table2", "digits", "accuracy", 11.0, ratio=0.0, **keys, **grid)
        rows += [clean] if pace == 2 else []
    measured = Measured("quick", {"table2": pd.DataFrame(rows)})
    test = the_test("classifiers_decline", measured)
    assert (test["value"], test["interval"], test["seeds"]) == (7.0, "t_items", 1)
    assert test["verdict"] == HOLDS  # by the gate's accuracy of 97 %, too
    both = pd.concat([measured.metrics["table2"]] * 2)
    with pytest.raises(NoiselabError, match="digits: 2 trainings of seed 0 would count as several"):
        the_test("classifiers_decline", Measured("quick", {"table2": both}))


def test_trainings_of_one_value_decide_nothing():
    """By no ruler; the number and its interval are shown, and others of the study are tested."""
    keys = {"of": "cifar10", "unit": "points"}
    rows = [row("table2", "digits", "accuracy", 97.0, ratio=0.0, seed=s, half=1) for s in (0, 1)]
    rows = [r | {"stands_in_for": "cifar10"} for r in rows]
    rows += [
        row("table2", "digits", "accuracy_drop", 20.0, seed=s, floor=s / 10, **keys) for s in (0, 1)
    ]
    test = the_test("classifiers_decline", Measured("quick", {"table2": pd.DataFrame(rows)}))
    assert [test[k] for k in NUMBERS] == [20.0, 20.0, 20.0]
    assert (test["verdict"], test["p"], test["p_holm"]) == (UNDECIDED, None, None)
    assert test["reason"] == "trainings of one value do not show how much others would differ"
    (above,) = [r for r in test["rulers"] if r["ruler"] == "absolute, above the floor"]
    assert above["p_holm"] == above["p"] > 0
