"""How many times sooner: paired geometric means, medians where a training never came there."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from noiselab.answers import claims
from noiselab.answers.competence import WEAK
from noiselab.answers.speedups import speedup, speedups_table
from noiselab.answers.statistics.evidence import Measured
from noiselab.answers.tables import run_cell
from noiselab.errors import NoiselabError

LIMIT = 8000


def rows(values, first_seed=0):
    """Rows of steps to a goal; nan: never."""
    own = {"family": "algorithmic", "dataset": "modular-23", "stands_in_for": "modular-113"}
    own |= {"protocol": "text", "metric": "steps_to_rule", "noise_ratio": 0.0, "source_share": None}
    own |= {"corruption": "none", "error_rate": 0.0, "reason": None}
    own |= {"seconds": np.nan, "examples": 0}
    return pd.DataFrame(
        own | {"run_id": f"r{s}", "seed": s, "value": v, "steps": LIMIT if np.isnan(v) else v}
        for s, v in enumerate(values, first_seed)
    )


def test_of_a_grid_the_usual_setting_is_compared():
    grid = [
        rows(steps).assign(learning_rate_multiplier=pace, batch_multiplier=1)
        for pace, steps in ((2.0, [9000.0, 9000]), (1.0, [4000.0, 6000]))
    ]
    sides = {
        "a": pd.concat(grid),
        "b": pd.concat(grid[::-1]).assign(value=lambda r: r["value"] / 2),
    }
    (cell,) = speedups_table(sides, [ENTRY]).to_dict("records")
    assert (cell["ours"], cell["n_seeds"]) == (pytest.approx(2), 2)
    with pytest.raises(NoiselabError, match="2 trainings of seed 0 would count as several"):
        speedup(sides["a"], sides["b"])


def interval(ratios):
    """Geometric mean and its t-interval."""
    logs = np.log(ratios)
    low, high = stats.t.interval(0.95, len(logs) - 1, logs.mean(), stats.sem(logs))
    return tuple(np.exp([logs.mean(), low, high]))


NEVER = np.nan


def test_it_is_a_geometric_mean_of_pairs_of_the_same_seed():
    first, second = rows([4000.0, 6000, 5000, 9000]), rows([3000.0, 4500, 7000], first_seed=1)
    found = speedup(first, second)
    assert found.estimate[:3] == pytest.approx(interval([6000 / 3000, 5000 / 4500, 9000 / 7000]))
    assert (found.pairs, found.lost, found.bound) == (3, 0, "")


@pytest.mark.parametrize("later", [9000, 90_000, 900_000])
def test_of_few_pairs_with_losses_there_are_only_signs(later):
    """Which is all that no later steps would change: the interval of these five ratios can be on
    either side of 1."""
    first, second = [9000.0, 5000, 8000, later, 7000], [3000.0, 1700, 2400, 2900, 2000]
    seen = [NEVER if steps > LIMIT else steps for steps in first]
    found = speedup(rows(seen), rows(second))
    assert (found.estimate, found.bound, found.pairs, found.lost) == (None, "", 5, 2)
    assert (found.sooner, found.later) == (5, 0)
    assert found.test(1).above == pytest.approx(1 / 32)
    assert (interval(np.divide(first, second))[1] > 1) == (later < 900_000)


def test_who_was_stopped_early_may_be_sooner_or_later():
    stopped = rows([NEVER] * 3).assign(steps=1000)
    found = speedup(rows([2000.0, 3000, 4000]), stopped)
    assert (found.sooner, found.later) == (0, 0)
    assert found.test(1) == (1, 1)


def test_where_both_sides_have_losses_nothing_is_said():
    found = speedup(rows([NEVER, 4000.0, 5000.0, NEVER]), rows([3000.0, NEVER, 6000.0, NEVER]))
    assert (found.estimate, found.lost) == (None, 3)
    assert (found.sooner, found.later) == (1, 2)  # of two that never came there, neither


def seen(steps):
    """What is known of trainings that stop after so many steps."""
    return np.where(steps > LIMIT, NEVER, steps)


@pytest.mark.parametrize("seed", range(30))
def test_of_many_pairs_the_median_does_not_ask_how_late_the_late_ones_are(seed):
    """The number is that of trainings without an end, and their interval is within its interval."""
    rng = np.random.default_rng(seed)
    first, second = rng.lognormal(8.4, 0.6, (2, 11))
    ratios = np.sort(first / second)
    found = speedup(rows(seen(first)), rows(seen(second)))
    if not found.lost:
        assert found.estimate.interval == "log_t_seeds"
    elif found.bound == "at most":
        assert np.median(ratios) <= found.estimate.value
    elif found.bound == "at least":
        assert np.median(ratios) >= found.estimate.value
    elif found.estimate:
        least = np.median(first.clip(max=LIMIT) / np.where(second > LIMIT, np.inf, second))
        most = np.median(np.where(first > LIMIT, np.inf, first) / second.clip(max=LIMIT))
        assert found.estimate.value == pytest.approx(np.sqrt(least * most))
        assert least - 1e-9 <= np.median(ratios) <= most + 1e-9
        assert found.estimate.interval == "median_seeds"
    if found.lost and found.estimate:
        # Of eleven, two to ten: 1 - 2 * 12 / 2048.
        assert found.estimate.ci_low <= ratios[1] + 1e-9
        assert found.estimate.ci_high >= ratios[9] - 1e-9


def test_of_a_median_the_sign_test_decides():
    """Seven of eight are sooner: 2 * 9 / 256. The one that never comes there may be as late as it
    likes."""
    first, second = [4000.0] * 8, [3000.0, 2900, 3100, 3050, 2800, 2700, 2600, NEVER]
    found = speedup(rows(first), rows(second))
    assert found.estimate.value == pytest.approx(np.median([4000 / s for s in second[:7]] + [0]))
    assert found.estimate[1:3] == (0, pytest.approx(4000 / 2600))
    exact = stats.binomtest(7, 8, 0.5, alternative="greater").pvalue
    assert found.test(1).above == pytest.approx(exact)
    assert found.test(1).below == pytest.approx(stats.binomtest(1, 8, 0.5, "greater").pvalue)


def test_what_may_be_on_either_side_speaks_for_neither():
    found = speedup(rows([NEVER] * 3 + [4000.0] * 5), rows([NEVER] * 3 + [2000.0] * 5))
    assert found.test(1).above == pytest.approx(stats.binomtest(5, 8, 0.5, "greater").pvalue)
    assert found.test(1).below == pytest.approx(1)


def told(values):
    """The cell of a table of steps, of trainings where they never come there after LIMIT."""
    own = rows(values).assign(unit="steps", floor=np.nan, items=1, measured_error_rate=0.0)
    own = own.assign(ci_low=np.nan, ci_high=np.nan, interval="none", n_seeds=1)
    own.loc[own["value"].isna(), "reason"] = "not within 8,000 steps"
    return run_cell(own)


def test_a_table_of_steps_has_their_median_where_few_never_come_there():
    cell = told([3000.0, NEVER, 5000.0, 2000.0, 7000.0, 1000.0, 6000.0, 4000.0, 2500.0])
    assert (cell["ours"], cell["ci_low"], cell["ci_high"]) == (4000, 2000, 7000)
    assert (cell["n_seeds"], cell["reason"], cell["interval"]) == (9, None, "median_seeds")
    for values in ([3000.0, NEVER] * 4, [3000.0, 2000.0, 1000.0, 2500.0, NEVER]):
        cell = told(values)
        assert np.isnan(cell["ours"])
        assert cell["reason"] == "not within 8,000 steps"
    cell = told([1000.0] * 4 + [4000.0] * 4)
    assert cell["ours"] == pytest.approx(2000)  # all came there: the geometric mean
    assert cell["interval"] == "log_t_seeds"


def test_pairs_that_may_be_on_either_side_of_the_median_leave_its_middle():
    """Of eight, the interval is from the smallest to the largest; of twelve, from the third."""
    second = [1000.0, 1100, 1200, 1300, 1400, 1500]
    found = speedup(rows([2000.0] * 6 + [NEVER] * 2), rows([*second, NEVER, NEVER]))
    assert not found.estimate
    second = [1000.0 + 100 * i for i in range(11)]
    found = speedup(rows([2000.0] * 11 + [NEVER]), rows([*second, NEVER]))
    ratios = np.sort(2000 / np.array(second))
    ends = ratios[4:6].mean(), ratios[5:7].mean()
    assert found.estimate.value == pytest.approx(np.sqrt(np.prod(ends)))
    assert found.estimate[1:3] == pytest.approx((ratios[1], ratios[9]))


ENTRY = {"label": "x", "first": "a", "second": "b", "metric": "steps_to_rule", "noise_ratio": 0}
LATE = "one is not there after 8,000 steps"
SIX = f"in 6 of 6 pairs, {LATE}; sooner in"


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ([4000.0], [NEVER], f"in 1 of 1 pairs, {LATE}; sooner in 0, later in 1 (sign test: p = 1)"),
        (
            [NEVER] * 5,
            [4000.0] * 5,
            f"in 5 of 5 pairs, {LATE}; sooner in 5, later in 0 (sign test: p = 0.062)",
        ),
        (
            [4000.0] * 6,
            [NEVER] * 6,
            f"at most 0.50: {SIX} 0, later in 6 (sign test: p = 0.031)",
        ),
        (
            [NEVER] * 6,
            [4000.0] * 6,
            f"at least 2.00: {SIX} 6, later in 0 (sign test: p = 0.031)",
        ),
        (
            [NEVER, 1.0],
            [NEVER, 1.0],
            f"in 1 of 2 pairs, {LATE}; sooner in 0, later in 0 (sign test: p = 1)",
        ),
    ],
)
def test_a_table_says_in_words_what_is_no_number(first, second, reason):
    (cell,) = speedups_table({"a": rows(first), "b": rows(second)}, [ENTRY]).to_dict("records")
    assert np.isnan(cell["ours"])
    assert cell["reason"] == reason


def test_a_table_has_the_number_and_its_interval():
    metrics = {"a": rows([4000.0, 6000, 5000]), "b": rows([3000.0, 3000, 4500])}
    (cell,) = speedups_table(metrics, [ENTRY]).to_dict("records")
    found = cell["ours"], cell["ci_low"], cell["ci_high"]
    assert found == pytest.approx(interval([4 / 3, 2, 10 / 9]))
    assert cell["interval"] == "log_t_seeds"


def cost(values, seconds, name):
    """Rows that took so many seconds per step, of batches of 10."""
    found = rows(values).assign(run_id=lambda r: name + r["run_id"])
    return found.assign(seconds=found["steps"] * seconds, examples=found["steps"] * 10)


def test_a_regulariser_that_doubles_a_step_shows_it():
    """Twice as fast in steps of 0.03 s as in such of 0.015 s is as fast in seconds."""
    steps = np.array([4000.0, 6000, 5000])
    metrics = {"a": cost(steps, 0.015, "a"), "b": cost(steps / 2, 0.03, "b")}
    passes = {f"{name}r{seed}": 2 if name == "b" else 1 for name in "ab" for seed in range(3)}
    table = speedups_table(metrics, [ENTRY], passes)
    assert list(table["metric"]) == ["speedup", "step_flops", "step_seconds", "speedup_seconds"]
    assert list(table["ours"]) == pytest.approx([2, 2, 2, 1])


def test_what_is_not_known_of_a_cost_is_not_shown():
    metrics = {"a": cost([4000.0], 1, "a"), "b": cost([NEVER], np.nan, "b")}
    assert list(speedups_table(metrics, [ENTRY])["metric"]) == ["speedup"]
    metrics["b"] = cost([NEVER], 2, "b")  # no time in which it would have come there
    found = speedups_table(metrics, [ENTRY]).set_index("metric")["ours"]
    assert list(found.index) == ["speedup", "step_seconds"]
    assert found["step_seconds"] == pytest.approx(2)


CLAIM = {
    "place": "Abstract",
    "claim": "It is sooner.",
    "statistic": {
        "kind": "speedup",
        "experiments": ["a", "b"],
        "metric": "steps_to_rule",
        "tasks": "addition",
        "of": "modular-113",
    },
    "printed": 1.35,
    "unit": "ratio",
    "rule": {"above": 1},
    "smallest_effect": 0.1,
    "why": "The sign decides.",
    "transfers": True,
    "tiers": ["paper"],
}


@pytest.mark.parametrize(("accuracy", "weak"), [(20.0, True), (96.0, False)])
def test_plain_trainings_must_have_learned_something(accuracy, weak):
    score = {"metric": "accuracy", "value": accuracy, "classes": 23, "interval": "t_items"}
    score |= {"ci_low": accuracy - 1, "ci_high": accuracy + 1, "batch_multiplier": 1}
    plain = rows([4000.0, 6000, 5000])
    plain = pd.concat([plain, plain.assign(**score)]).assign(batch_multiplier=1)
    published = {"claims": {"sooner": CLAIM}, "accelerations": {"addition": 1.35}}
    published["competence"] = {"a": {"chance": 50}}
    metrics = {"a": plain, "b": rows([2000.0, 3100, 2400])}
    (claim,) = claims.decide(published, Measured("quick", metrics))["claims"]
    assert (claim["tests"][0]["verdict"] == WEAK) == weak


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        ([4000.0, 6000, 5000], [2000.0, 3100, 2400], "holds"),
        ([4000.0, 4200, 3900], [NEVER, 8000, NEVER], "undecided"),
        ([4000.0, 4200, 3900] * 2, [NEVER, 8000, NEVER] * 2, "does not hold"),
        ([4000.0, 6000, 5000], [4100.0, 3000, 7000], "undecided"),
        ([NEVER, 6000, 5000], [2000.0, 3100, 2400], "undecided"),
    ],
)
def test_a_claim_is_refuted_by_a_bound_and_not_by_a_lack(first, second, verdict):
    published = {"claims": {"sooner": CLAIM}, "accelerations": {"addition": 1.35}}
    measured = Measured("desk", {"a": rows(first), "b": rows(second)})
    content = claims.decide(published, measured)
    json.loads(json.dumps(content, allow_nan=False))  # no reader need know infinity
    (claim,) = content["claims"]
    (test,) = claim["tests"]
    assert test["verdict"] == verdict
