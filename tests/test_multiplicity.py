"""Many verdicts at once: p-values, Holm's correction, power, and studies of true nulls."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from noiselab.answers import probes
from noiselab.answers.multiplicity import corrected, degrees
from noiselab.answers.rules import FAILS, HOLDS, UNDECIDED, apply_rule, outcome
from noiselab.measures.hypotheses import (
    detectable,
    holm,
    holm_levels,
    sides,
    sign_sides,
    without_spread,
)
from noiselab.measures.statistics import Estimate, median_interval, t_interval
from noiselab.planning import config

PUBLISHED = config.published()

RULES = [({"above": 0}, 1.0), ({"at_least": 0}, 1.0), ({"at_most": 0}, 1.0)]
RULES += [({"between": [-1, 1]}, 1.0), ({"above": 0}, 0.0)]


def estimate(value, half, kind="t_items"):
    return Estimate(value, value - half, value + half, kind)


def t_rows(values):
    """Mean and half-width of 95 % intervals of samples, [..., n]."""
    n = values.shape[-1]
    half = scipy_stats.t.ppf(0.975, n - 1) * values.std(-1, ddof=1) / np.sqrt(n)
    return values.mean(-1), half


# ------------------------------------------------------------------ p-values


def test_p_values_are_those_of_students_test():
    values = np.random.default_rng(0).normal(0.4, 1, (50, 6))
    mean, half = t_rows(values)
    found = sides(mean, mean - half, mean + half, 0.1, 5)
    for alternative, p in (("greater", found.above), ("less", found.below)):
        expected = scipy_stats.ttest_1samp(values, 0.1, axis=1, alternative=alternative).pvalue
        assert p == pytest.approx(expected)


@pytest.mark.parametrize(("rule", "smallest"), RULES)
def test_a_p_value_is_below_five_per_cent_exactly_where_there_is_a_verdict(rule, smallest):
    rng, seen = np.random.default_rng(1), set()
    for value, half in zip(rng.normal(0, 2, 600), rng.gamma(1, 0.7, 600), strict=True):
        found = outcome(rule, estimate(value, half), np.inf, smallest)
        assert (found.p < 0.05) is (found.verdict != UNDECIDED)
        seen.add(found.verdict)
    assert seen == {HOLDS, FAILS, UNDECIDED}


def test_an_interval_that_is_not_symmetric_counts_by_the_side_of_the_bound():
    assert sides(2, 1, 9, 0.9, np.inf).above < 0.025 < sides(2, 1, 9, 1.1, np.inf).above
    assert sides(2, 1, 9, 9.1, np.inf).below < 0.025 < sides(2, 1, 9, 8.9, np.inf).below


def with_unknown_ends(rng, values):
    """Values of which some are known to lie above 2 or below 0.2 only."""
    unknown = rng.random(values.shape) < 0.3
    low = np.where(unknown & (values > 2), 2, np.where(unknown & (values < 0.2), -np.inf, values))
    high = np.where(unknown & (values > 2), np.inf, np.where(unknown & (values < 0.2), 0.2, values))
    return low, high


@pytest.mark.parametrize("count", [6, 9, 20])
def test_an_interval_of_a_median_covers_whatever_the_distribution(count):
    """Of exponential values, some of which are cut off; it is never too narrow."""
    rng = np.random.default_rng(count)
    found = [
        median_interval(*with_unknown_ends(rng, rng.exponential(size=count))) for _ in range(4000)
    ]
    inside = np.mean([i.ci_low <= np.log(2) <= i.ci_high for i in found])
    assert inside >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 4000)
    assert median_interval([1.0] * 5, [1.0] * 5).ci_low is None


def test_ends_of_the_interval_of_a_median_by_hand():
    """Tables of the sign test: of 20, the 6th from each end."""
    for count, first in ((6, 1), (8, 1), (9, 2), (12, 3), (20, 6), (30, 10)):
        values = np.arange(1.0, count + 1)
        assert median_interval(values, values)[:2] == (first, count + 1 - first)


def test_the_sign_test_calls_exactly_what_the_interval_of_the_median_leaves_out():
    rng = np.random.default_rng(0)
    for _ in range(300):
        low, high = with_unknown_ends(rng, rng.exponential(size=rng.integers(6, 25)))
        for bound in (0.1, 0.3, 0.7, 1.5, 3.0):
            ends, p = median_interval(low, high), sign_sides(low, high, bound)
            assert (p.above <= 0.025) == (ends.ci_low > bound)
            assert (p.below <= 0.025) == (ends.ci_high < bound)


def test_a_verdict_may_have_the_p_value_of_another_test():
    values = np.arange(1.1, 2.1, 0.1)
    estimate = Estimate(1.5, *median_interval(values, values))

    def test(bound):
        return sign_sides(values, values, bound)

    found = outcome({"above": 1}, estimate, np.inf, 0.05, test)
    assert (found.verdict, found.p) == (HOLDS, pytest.approx(2 / 2**10))


def test_no_spread_is_certain():
    assert sides(1.0, 1.0, 1.0, 0.0, np.inf) == (0, 1)
    assert sides(0.0, 0.0, 0.0, 0.0, np.inf) == (0.5, 0.5)


@pytest.mark.parametrize("values", [[20.0, 20.0], [0.1 + 0.2, 0.3, 0.3], [0.0, 0.0]])
def test_few_equal_values_are_not_certain(values):
    """A score in steps of 0.1 is often the same in two trainings."""
    ends = t_interval(values)
    found = Estimate(np.mean(values), *ends)
    for rule in ({"at_least": -1}, {"at_most": -1}, {"between": [-1, 50]}, {"above": 25}):
        assert outcome(rule, found, len(values) - 1) == (UNDECIDED, None)
    assert sides(*found[:3], -1, len(values) - 1) == (1, 1)
    assert probes._p(np.array(values)) == 1
    assert not without_spread(*t_interval([20.0, 20.1])[:2], 1)


# ------------------------------------------------------------------ the smallest effect


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 0.9, FAILS),  # there, but too small to interest
        (-0.5, 0.9, FAILS),
        (-0.5, 1.0, UNDECIDED),
        (0.1, 1.1, HOLDS),
        (1.5, 2.0, HOLDS),
    ],
)
def test_a_sign_needs_an_effect_of_interest(low, high, verdict):
    found = Estimate((low + high) / 2, low, high, "t_items")
    assert apply_rule({"above": 0}, found, smallest_effect=1.0) == verdict


def test_every_claim_has_a_smallest_effect_within_what_the_paper_shows():
    for name, claim in PUBLISHED["claims"].items():
        assert claim["smallest_effect"] >= 0, name
        if "above" in claim["rule"] and claim["printed"] is not None:
            effect = claim["printed"] - claim["rule"]["above"]
            assert effect > 1.5 * claim["smallest_effect"], name


# ------------------------------------------------------------------ Holm


def test_holm_by_hand():
    """By the definition: sorted, the smallest times m, the next times m - 1, never falling."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == pytest.approx([1, 1])
    assert holm([0.02]) == pytest.approx([0.02])


def test_levels_of_intervals_by_hand():
    """Of four, 0.005 and 0.012 are called against 5 % / 4 and 5 % / 3, 0.03 not against 5 % / 2."""
    levels = holm_levels([0.03, 0.005, 0.9, 0.012])
    assert levels == pytest.approx(1 - 0.05 / np.array([2, 4, 2, 3]))
    assert holm_levels([0.5, 0.6, 0.7]) == pytest.approx(np.full(3, 1 - 0.05 / 3))
    assert holm_levels([0.001]) == pytest.approx([0.95])


def test_intervals_at_these_levels_leave_out_what_holm_calls():
    rng = np.random.default_rng(3)
    values = rng.normal(rng.choice([0, 1, 2], (300, 8, 1)), 1, (300, 8, 6))
    p = scipy_stats.ttest_1samp(values, 0, axis=-1).pvalue
    called = holm(p) <= 0.05
    for family, own, expected in zip(values, p, called, strict=True):
        levels = holm_levels(own)
        ends = [t_interval(v, level) for v, level in zip(family, levels, strict=True)]
        assert [not low <= 0 <= high for low, high, _ in ends] == list(expected)
    assert 0.1 < called.mean() < 0.9


def test_intervals_at_these_levels_leave_out_no_true_value_that_is_tested():
    """With a chance of 95 % at least in a whole family, half of which is as tested."""
    rng = np.random.default_rng(5)
    means = np.repeat([0.0, 2.0], 4)
    wrong = 0
    for _ in range(2000):
        values = rng.normal(means[:, None], 1, (8, 6))
        levels = holm_levels(scipy_stats.ttest_1samp(values, 0, axis=-1).pvalue)
        ends = [t_interval(v, level) for v, level in zip(values[:4], levels[:4], strict=True)]
        wrong += any(not low <= 0 <= high for low, high, _ in ends)
    assert wrong / 2000 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)


def test_holm_of_many_families_is_that_of_each():
    p = np.random.default_rng(2).random((20, 7)) ** 3
    assert holm(p) == pytest.approx(np.array([holm(family) for family in p]))


def test_holm_equals_stepping_down():
    """Reject while p(i) <= alpha / (m - i); adjusted values say the same at every alpha."""
    for p in np.random.default_rng(3).random((200, 6)) ** 2:
        adjusted = holm(p)
        for alpha in (0.01, 0.05, 0.2):
            called, order = np.zeros(6, bool), np.argsort(p)
            for i, k in enumerate(order):
                if p[k] > alpha / (6 - i):
                    break
                called[k] = True
            assert np.array_equal(adjusted <= alpha, called)


# ------------------------------------------------------------------ studies of true nulls


CLAIMS, TRAININGS, STUDIES = 35, 3, 20_000


def wrong_studies(truth, rng, shared=0.0):
    """Share of studies that call anything, alone and by Holm, of claims with rule "above 0".

    truth: the true value of each claim, on the wrong side of what is called or on the bound.
    shared: correlation of the claims of a study, as of those that rest on the same runs.
    """
    noise = rng.normal(size=(STUDIES, CLAIMS, TRAININGS)) * np.sqrt(1 - shared)
    noise += rng.normal(size=(STUDIES, 1, TRAININGS)) * np.sqrt(shared)
    mean, half = t_rows(truth[:, None] + noise)
    p = 2 * sides(mean, mean - half, mean + half, 0, TRAININGS - 1).above
    return np.mean((p < 0.05).any(1)), np.mean((holm(np.minimum(p, 1)) <= 0.05).any(1))


@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_at_most_one_study_in_twenty_shows_a_wrong_verdict(shared):
    alone, together = wrong_studies(np.zeros(CLAIMS), np.random.default_rng(4), shared)
    assert alone > 0.2  # what the correction is for
    assert together <= 0.05


def test_wrong_verdicts_in_either_direction_are_rare():
    """Values on the bound: "holds" and "does not hold" are both wrong. m verdicts, two sides."""
    rng = np.random.default_rng(5)
    mean, half = t_rows(rng.normal(size=(STUDIES, CLAIMS, TRAININGS)))
    both = sides(mean, mean - half, mean + half, 0, TRAININGS - 1)
    p = 2 * np.minimum(both.above, both.below)
    wrong = (holm(p) <= 0.05).any(1).mean()
    assert wrong <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / STUDIES)


def test_true_effects_beside_do_not_make_wrong_verdicts_more_frequent():
    """Half of the claims are true by far, and are called; the rest is not, 19 times in 20."""
    rng = np.random.default_rng(6)
    truth = np.where(np.arange(CLAIMS) < CLAIMS // 2, 500.0, 0.0)
    mean, half = t_rows(truth[:, None] + rng.normal(size=(STUDIES, CLAIMS, TRAININGS)))
    p = 2 * sides(mean, mean - half, mean + half, 0, TRAININGS - 1).above
    called = holm(np.minimum(p, 1)) <= 0.05
    assert called[:, truth > 0].mean() > 0.99
    assert called[:, truth == 0].any(1).mean() <= 0.05


def test_intervals_over_trainings_cover_and_those_over_items_do_not():
    """Losses whose trainings differ as much as their items let the mean of one vary, ±2 points."""
    rng, items_error, trainings_sd = np.random.default_rng(7), 1.5, 3.9
    drops = 10 + rng.normal(0, np.hypot(items_error, trainings_sd), (STUDIES, TRAININGS))
    mean, half = t_rows(drops)
    assert 0.93 < np.mean(abs(mean - 10) < half) < 0.97
    one = np.mean(abs(drops[:, 0] - 10) < 1.96 * items_error)
    assert one < 0.6


def test_excesses_over_trainings_cover_where_floor_and_score_move_together():
    """Paired by seed: what both have in common is no spread."""
    rng = np.random.default_rng(8)
    common = rng.normal(90, 4, (STUDIES, TRAININGS))
    floor = common + rng.normal(0, 0.5, common.shape)
    score = common - 3 + rng.normal(0, 0.5, common.shape)
    mean, half = t_rows(score - floor)
    assert 0.93 < np.mean(abs(mean + 3) < half) < 0.97
    assert half.mean() < 0.35 * t_rows(score)[1].mean()


# ------------------------------------------------------------------ power


def test_what_can_be_detected_is_called_four_times_in_five():
    rng, tests = np.random.default_rng(9), 20
    low, high = -1.96, 1.96  # standard error 1
    effect = detectable(low, high, np.inf, tests)
    values = effect + rng.normal(size=50_000)
    p = 2 * sides(values, values - 1.96, values + 1.96, 0, np.inf).above
    assert np.mean(p * tests <= 0.05) == pytest.approx(0.8, abs=0.01)
    assert detectable(low, high, np.inf) == pytest.approx(1.96 + 0.8416, abs=0.001)
    assert detectable(low, high, 2, tests) > 2 * effect  # three trainings


# ------------------------------------------------------------------ in claims.json


def judged(values):
    """Tests with the rule "above 0" whose standard error is 1."""
    found = [estimate(value, 1.96) for value in values]
    judged = [outcome({"above": 0}, e, np.inf)._asdict() | e._asdict() for e in found]
    return [j | {"seeds": 1, "interval_seeds": 1, "rulers": [], "reason": None} for j in judged]


def test_a_verdict_that_does_not_survive_says_so():
    tests = judged([2.1, 9.0, 0.3, 0.2])
    corrected(tests)
    assert [t["verdict"] for t in tests] == [UNDECIDED, HOLDS, UNDECIDED, UNDECIDED]
    assert tests[0]["reason"].startswith("holds alone, not after the correction for 4 (p = 0.1")
    assert tests[1]["reason"] is None
    assert tests[0]["p_holm"] == pytest.approx(3 * tests[0]["p"])
    alone = judged([2.1])
    corrected(alone)
    assert alone[0]["verdict"] == HOLDS


def test_other_rulers_count_too():
    (test,) = judged([2.1])
    test["rulers"] = judged([2.1, 0.1])
    corrected([test])
    assert test["verdict"] == test["rulers"][0]["verdict"] == UNDECIDED


def test_what_is_no_test_is_not_in_the_family():
    assert degrees("closed_form", 0) is None
    assert degrees("t_seeds, wilson_items", 3) == 2
    assert degrees("wilson_items", 1) == np.inf
    certain = {
        "verdict": HOLDS,
        "p": None,
        "seeds": 0,
        "interval_seeds": 0,
        "rulers": [],
        "reason": None,
    }
    tests = [certain, *judged([2.1])]
    corrected(tests)
    assert [t["verdict"] for t in tests] == [HOLDS, HOLDS]
    assert tests[0]["p_holm"] is None
