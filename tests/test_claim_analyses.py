"""Claims on analyses, against closed forms and simulation."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from claim_rows import PUBLISHED, decided, gradients, row, the_test
from noiselab.answers import claims, verdicts
from noiselab.answers.claims import Measured
from noiselab.answers.multiplicity import WITHOUT_SPREAD, degrees
from noiselab.answers.rules import FAILS, HOLDS, UNDECIDED, outcome
from noiselab.answers.statistics.extremes import extreme
from noiselab.measures import statistics as stats
from noiselab.measures.statistics import Estimate

NUMBERS = ("value", "ci_low", "ci_high")
CLOSED_FORMS = ("information_maximum", "information_falls_with_classes")  # need no run


def test_fall_of_the_spread_of_independent_losses():
    """Averaging alone: the spread falls by 75 %, and nothing is beyond that."""
    rng, seen = np.random.default_rng(0), []
    for _ in range(150):
        losses = rng.normal(3, 1, 16 * 4 * 100)
        rows = []
        for size in (4, 64):
            means = stats.macro_batch_losses(losses, size, 100)
            rows += [{"batch_size": size, "std": means.std(ddof=1), "noise_ratio": 1.0}]
        rows += [r | {"noise_ratio": 0.0} for r in rows]
        frame = pd.DataFrame(rows).assign(seed=0, macro_batches=100)
        frame = frame.assign(dataset="docstrings", stands_in_for="openwebtext")
        test = the_test("loss_steadies", Measured("quick", {}, stability=frame))
        beyond = next(r for r in test["rulers"] if r["ruler"] == "noisy model, beyond averaging")
        seen.append((test["ci_low"] <= 75 <= test["ci_high"], beyond["ci_low"] <= 0))
    assert 0.9 < np.mean([covered for covered, _ in seen]) < 0.99
    assert np.mean([nothing for _, nothing in seen]) > 0.93


def test_growth_of_the_signal_to_noise_ratio_is_per_doubling():
    frame = gradients(1e-6)
    frame["batch_size"] = frame["batch_size"].map({4: 4, 8: 16})
    test = the_test("snr_grows", Measured("quick", {}, frame))
    assert test["value"] == pytest.approx(np.sqrt(8.34 / 7.31))


def test_gradients_of_several_seeds_get_an_interval_over_seeds():
    frames = [
        gradients().assign(seed=s, cosine_clean_clean_mean=v) for s, v in enumerate((0.4, 0.6))
    ]
    test = the_test("clean_gradients_cohere", Measured("quick", {}, pd.concat(frames)))
    assert (test["value"], test["interval"]) == (pytest.approx(0.5), "t_seeds")


def test_levels_stand_apart_from_courses():
    content = claims.decide(PUBLISHED, Measured("quick", {}))
    text = verdicts.markdown(content)
    courses, levels = text.split(f"### {verdicts.LEVELS}")
    for name, claim in PUBLISHED["claims"].items():
        assert claim["claim"] in (courses if claim["transfers"] else levels), name
        assert claim["claim"] not in (levels if claim["transfers"] else courses), name
    about = verdicts.tidy(content).set_index("claim")["about"]
    assert about["clean_gradients_cohere"] == "level"
    assert about["clean_gradients_cohere_more"] == "course"


def test_equation_1_needs_no_run():
    found = decided(Measured("smoke", {}), *CLOSED_FORMS)
    assert found["information_maximum"]["verdict"] == HOLDS
    fall = found["information_falls_with_classes"]
    assert (fall["verdict"], fall["because"]) == (FAILS, "closed form, no run")
    (test,) = fall["tests"]
    # By hand at e = 0.99: n = 2 leaves 0.0808 bits of 1, n = 10 0.0808 + 0.99 log2(9) of log2(10).
    two = -0.99 * np.log2(0.99) - 0.01 * np.log2(0.01)
    ten = (two + 0.99 * np.log2(9)) / np.log2(10)
    assert test["value"] == pytest.approx(two - ten)
    (before,) = test["rulers"]
    assert (before["verdict"], before["value"] > 0) == (HOLDS, True)


def test_the_share_of_trainings_that_diverge():
    """Of those with much noise and the clean run's batch alone."""
    rows = [
        row("table7", "openwebtext", "nll", v, ratio=r, seed=s, batch_multiplier=k, reason=reason)
        for v, r, s, k, reason in (
            (np.nan, 1.0, 0, 1, "training diverged"),
            (np.nan, 0.5, 0, 1, "training diverged"),
            (np.nan, 1.0, 1, 1, "training diverged"),
            (3.0, 0.5, 1, 1, np.nan),
            (3.0, 1.0, 2, 12, np.nan),  # a larger batch
            (3.0, 0.3, 0, 1, np.nan),  # little noise
        )
    ]
    test = the_test("divergence", Measured("paper", {"table7": pd.DataFrame(rows)}))
    assert test["value"] == 75
    low, high = scipy_stats.binomtest(3, 4).proportion_ci(method="wilson")
    assert (test["ci_low"], test["ci_high"]) == pytest.approx((100 * low, 100 * high))
    larger = the_test("divergence", Measured("paper", {"table7": pd.DataFrame(rows[-2:])}))
    assert (larger["value"], larger["reason"]) == (
        None,
        "nothing was trained with so small a batch",
    )


def test_a_training_that_experiments_share_diverges_once():
    """Three experiments with one training each that diverged, of which two share one."""
    frames = {
        name: pd.DataFrame(
            [
                row(name, "openwebtext", "nll", np.nan, run_id=run, reason="training diverged"),
                row(name, "openwebtext", "nll", 3.0, run_id=f"{name}/b", seed=1),
            ]
        )
        for name, run in (("figure1_runs", "a"), ("table7", "a"), ("batch_ablation_text", "c"))
    }
    assert the_test("divergence", Measured("paper", frames))["value"] == pytest.approx(100 * 2 / 5)


def values_at(experiment, of, metric, clean, noisy, **more):
    """Rows of a metric: seed -> value of the clean runs and at r = 1; not a number: diverged."""
    rows = [
        row(experiment, of, metric, value, ratio=ratio, seed=seed, half=1.0, **more)
        | ({"reason": "training diverged"} if np.isnan(value) else {})
        for ratio, values in ((0.0, clean), (1.0, noisy))
        for seed, value in values.items()
    ]
    return Measured("lab", {experiment: pd.DataFrame(rows)})


CLEAN, NOISY = {0: 50.0, 1: 60.0, 2: 70.0, 3: 90.0}, {3: 81.0, 1: 57.0, 5: 1.0, 0: 49.0}
PAIRS = np.array([50.0, 60.0, 90.0]), np.array([49.0, 57.0, 81.0])


@pytest.mark.parametrize(
    ("claim", "experiment", "of", "metric", "expected"),
    [
        ("training_accuracy_falls", "table8", "imagenet1000", "train_accuracy", np.subtract),
        ("images_stay_good", "table1", "cifar10", "fid", lambda b, a: 100 * (b / a - 1)),
    ],
)
def test_seeds_that_both_have_are_compared_with_the_clean_run(
    claim, experiment, of, metric, expected
):
    def tested(noisy):
        statistic = PUBLISHED["claims"][claim]["statistic"]
        measured = values_at(experiment, of, metric, CLEAN, noisy)
        (test,) = claims.STATISTICS[statistic["kind"]].tests(statistic, measured)
        json.dumps(decided(measured, claim), allow_nan=False)
        return test

    changes = expected(PAIRS[1], PAIRS[0])
    test = tested(NOISY)
    low, high = scipy_stats.t.interval(0.95, 2, changes.mean(), scipy_stats.sem(changes))
    (ruled,) = test.by_ruler.values()
    assert ruled.estimate[:3] == pytest.approx((changes.mean(), low, high))
    assert (test.seeds, test.interval_seeds or test.seeds, test.reason) == (3, 3, None)
    for noisy, reason in (
        (NOISY | {1: np.nan}, "training diverged"),
        ({7: 50.0, 8: 60.0}, "no seed that both sides have"),
    ):
        test = tested(noisy)
        assert (test.by_ruler, test.reason) == ({}, reason)


def test_a_shift_is_paired_by_seed():
    values = {0: [90.0, 91.0], 1.0: [60.0, 65.0]}
    rows = [
        row("table8", "imagenet1000", "train_accuracy", v, ratio=r, seed=s, half=1.0)
        for r, of_seeds in values.items()
        for s, v in enumerate(of_seeds)
    ]
    one = [r for r in rows if r["seed"] == 0]
    test = the_test("training_accuracy_falls", Measured("lab", {"table8": pd.DataFrame(one)}))
    half = np.sqrt(2)
    assert [test[k] for k in NUMBERS] == pytest.approx([-30, -30 - half, -30 + half])
    test = the_test("training_accuracy_falls", Measured("lab", {"table8": pd.DataFrame(rows)}))
    low, high = scipy_stats.t.interval(0.95, 1, -28, scipy_stats.sem([-30, -26]))
    assert [test[k] for k in NUMBERS] == pytest.approx([-28, low, high])


def test_sums_of_gradients_grow_by_what_speaks_most_against_the_paper():
    frame = gradients(1e-6)
    assert the_test("clean_sums_double", Measured("paper", {}, frame))["value"] == pytest.approx(
        11.37 / 6.13
    )
    assert the_test("corrupt_sums_cancel", Measured("paper", {}, frame))["value"] == pytest.approx(
        1.36 / 0.84
    )


def test_a_cosine_above_another():
    frame = gradients(0.1, cosine_corrupt_corrupt_mean=0.2)
    test = the_test("clean_gradients_cohere_more", Measured("quick", {}, frame))
    half = 1.96 * 0.1 * np.sqrt(2)
    assert [test[k] for k in NUMBERS] == pytest.approx([0.32, 0.32 - half, 0.32 + half])


def test_the_spread_of_the_noisy_loss_over_that_of_the_clean_one_covers():
    """Normal losses of 200 macro-batches at one size, the noisy ones half as wide."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(150):
        rows = [
            {"noise_ratio": r, "batch_size": 4, "std": rng.normal(0, s, 200).std(ddof=1)}
            for r, s in ((0.0, 2.0), (1.0, 1.0))
        ]
        frame = pd.DataFrame(rows).assign(seed=0, macro_batches=200, dataset="docstrings")
        frame = frame.assign(stands_in_for="openwebtext")
        found = stability_ratio(frame)
        hits += found["ci_low"] <= 0.5 <= found["ci_high"]
    assert 0.91 < hits / 150 < 0.99


def stability_ratio(frame):
    return the_test("noisy_loss_is_steadier", Measured("quick", {}, stability=frame))


def test_the_largest_kl_is_without_its_bias():
    """Plug-in values of 0.0009, of which 0.0007 are bias: the rule is at most 0.0003."""
    rows = [
        row("table13", "digits", "kl", v, of="cifar10", ratio=r, half=5e-5, bias=7e-4)
        for r, v in ((0.1, 8e-4), (1.0, 9e-4))
    ]
    rows.append(row("table13", "digits", "accuracy", 97.0, of="cifar10", ratio=0.0, half=1))
    test = the_test("marginal_is_learned", Measured("quick", {"table13": pd.DataFrame(rows)}))
    assert test["value"] == pytest.approx(2e-4)
    # Below: 95 % of both together; above: of each.
    low = 2e-4 - 5e-5 * scipy_stats.norm.isf(0.0125) / scipy_stats.norm.isf(0.025)
    assert (test["ci_low"], test["ci_high"]) == pytest.approx((low, 2.5e-4))
    assert test["verdict"] == HOLDS
    older = pd.DataFrame(rows).drop(columns="bias")
    test = the_test("marginal_is_learned", Measured("quick", {"table13": older}))
    assert test["verdict"] == FAILS


# ------------------------------------------------------------------ extremes of several cells


def drawn_largest(rng):
    """The largest of four noise ratios that are all 0, five seeds each."""
    rows = [
        row("table13", "cifar10", "kl", rng.normal(), ratio=r, seed=s)
        for r in (0.1, 0.3, 0.5, 1.0)
        for s in range(5)
    ]
    return {"kind": "largest", "experiment": "table13", "metric": "kl", "of": "cifar10"}, Measured(
        "quick", {"table13": pd.DataFrame(rows)}
    )


def drawn_ratio(rng):
    """Three seeds of five batch sizes, at which noisy and clean losses spread as much."""
    frame = pd.DataFrame(
        {"seed": s, "batch_size": b, "noise_ratio": r, "std": rng.normal(size=100).std(ddof=1)}
        for s in range(3)
        for b in (2, 4, 8, 16, 32)
        for r in (0.0, 1.0)
    ).assign(macro_batches=100, dataset="d", stands_in_for="openwebtext")
    return {"kind": "spread_ratio", "of": "openwebtext"}, Measured("q", {}, stability=frame)


def drawn_growth(rng):
    """Three seeds of four error rates, at which sums all grow 1.71 times with the batch."""
    frame = pd.DataFrame(
        {"seed": s, "error_rate": e, "batch_size": b, "protocol": "tokens"}
        | {"norm_clean": np.exp(rng.normal(0, 0.02)) * growth, "norm_clean_se": 0.02}
        for s in range(3)
        for e in (0.1, 0.3, 0.5, 0.7)
        for b, growth in ((32, 1.0), (64, 1.71))
    ).assign(dataset="d", stands_in_for="openwebtext")
    statistic = {"kind": "growth", "metric": "norm_clean", "of": "openwebtext"}
    return statistic, Measured("q", {}, gradients=frame)


@pytest.mark.parametrize(
    ("drawn", "rule"),
    [
        (drawn_largest, {"at_most": 0}),
        (drawn_ratio, {"at_most": 1}),
        (drawn_growth, {"at_least": 1.71}),
    ],
)
def test_an_extreme_at_the_bound_is_seldom_called(drawn, rule):
    """Not more often than one in twenty, in both directions together."""
    rng, called = np.random.default_rng(0), []
    for _ in range(400):
        statistic, measured = drawn(rng)
        (test,) = claims.STATISTICS[statistic["kind"]].tests(statistic, measured)
        estimate, _, own = next(iter(test.by_ruler.values()))
        free = degrees(estimate.interval, test.interval_seeds)
        found = outcome(rule, estimate, free, test=own)
        assert (found.p < 0.05) == (found.verdict != UNDECIDED)
        called.append(found.verdict)
    assert called.count(FAILS) / 400 <= 0.04
    assert (400 - called.count(UNDECIDED)) / 400 <= 0.05


def test_an_extreme_is_that_of_the_cells_and_tested_by_each():
    """Normal cells by hand: all of them have to be below, one of them above by three at once."""
    values = np.array([0.3, 1.0, -2.0])
    cells = [(Estimate(v, v - 1.96, v + 1.96, "t_items"), 1) for v in values]
    for pick, sign in ((max, 1), (min, -1)):
        found = extreme(cells, "", pick)
        assert found.ruled.estimate.value == pick(values)
        for bound in (-3.0, -1.0, 0.5, 2.0, 5.0):
            away = sign * (values - bound) * scipy_stats.norm.isf(0.025) / 1.96
            beyond = min(1, 3 * scipy_stats.norm.sf(away).min())
            within = scipy_stats.norm.cdf(away).max()
            assert found.ruled.test(bound)[::sign] == pytest.approx((beyond, within))
    one = extreme(cells[:1], "").ruled.estimate
    assert one[:3] == pytest.approx(cells[0][0][:3])


def test_an_extreme_of_cells_without_a_spread_has_no_interval():
    cells = [(Estimate(1.0, 0.5, 1.5, "t_seeds"), 3), (Estimate(0.9, 0.9, 0.9, "t_seeds"), 3)]
    found = extreme(cells, "")
    assert (found.ruled.estimate.ci_low, found.reason) == (None, WITHOUT_SPREAD)
    assert extreme([*cells, (Estimate(0.0, None, None, "none"), 1)], "").reason.startswith("not ev")
    lost = extreme(cells[:1], "").ruled.estimate
    assert lost.ci_high == pytest.approx(1.5)
