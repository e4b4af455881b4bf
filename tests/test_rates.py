"""Noise ratios and error rates: what is the same run, and what cannot be."""

import numpy as np
import pandas as pd
import pytest

from noiselab.answers import layouts, tables
from noiselab.answers.notes import notes as table_notes
from noiselab.errors import NoiselabError
from noiselab.measures.metrics import classifier_metrics, explained
from noiselab.noise.base import CORRUPTIONS
from noiselab.noise.corruptions.labels import UniformLabel
from noiselab.planning import choices, config, runs
from noiselab.planning.rates import Rate, error_rate, rates

OWN = {"family": "classifier", "datasets": ["digits"], "corruption": "uniform_label"}
OWN |= {"resample": "fresh", "budget": "fixed_total", "seeds": [0], "protocol": "text"}


def plan(**changes):
    """The plan of an experiment `mine` alone, at tier smoke."""
    settings = config.load({"experiments": {"mine": OWN | changes}, "only": ["mine"]}, tier="smoke")
    return runs.plan(settings, "results/smoke")


@pytest.fixture
def own_rate():
    """A corruption with a rate that its run.json says, or None."""

    class OwnRate(UniformLabel):
        """A rate of its own."""

        name = "own_rate"
        rated = False
        error = 0.25

        @classmethod
        def planned_rate(cls, planned):
            return cls.error

    config._validator.cache_clear()
    yield OwnRate
    del CORRUPTIONS["own_rate"]
    config._validator.cache_clear()


def test_an_error_rate_is_the_run_of_its_noise_ratio():
    by_ratio, by_error = plan(noise_ratios=[0, 0.25, 1.0]), plan(error_rates=[0, 0.2, 0.5])
    assert by_ratio.experiments == by_error.experiments
    assert by_ratio.runs == by_error.runs


@pytest.mark.parametrize("error", np.linspace(0.001, 0.999, 23))
def test_other_error_rates_are_as_they_are_written(error):
    rate = Rate.from_error(float(error))
    assert rate.error_rate == pytest.approx(error, abs=1e-12)
    assert error_rate(rate.noise_ratio) == pytest.approx(error, abs=1e-12)


def test_ids_say_the_error_rate_that_is_no_short_ratio():
    ids = plan(error_rates=[0.4, 1]).experiments["mine"]
    assert ids == [
        "classifier/digits/uniform_label-e0.4-fixed_total-s0",
        "classifier/digits/uniform_label-e1-fixed_total-s0",
    ]


def test_at_rate_1_the_ratio_is_not_a_number_and_comes_last():
    planned = plan(error_rates=[1, 0, 0.4])
    ids = planned.experiments["mine"]
    assert planned.runs[ids[0]].noise_ratio is None
    assert planned.runs[ids[0]].error_rate == 1
    assert choices.noise_ratios(planned, ids) == [ids[1], ids[2], ids[0]]
    assert choices.clean_and_noisiest(planned, ids) == [ids[1], ids[0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"error_rates": [0, 1], "budget": "fixed_clean"}, r"mine\.budget: no target would be"),
        ({"error_rates": [0, 1.1]}, r"mine\.error_rates\[1\]: 1\.1 is greater than the maximum"),
        ({"error_rates": [float("nan")]}, r"mine\.error_rates\[0\]: nan is no finite number"),
        ({"error_rates": ["many"]}, r"mine\.error_rates\[0\]: 'many' is not of type 'number'"),
        ({"error_rates": [True]}, r"mine\.error_rates\[0\]: True is not of type 'number'"),
        ({"error_rates": 0.5}, r"mine\.error_rates: 0\.5 is not of type 'array'"),
        ({"error_rates": []}, r"mine\.error_rates: \[\] should be non-empty"),
        ({"error_rates": [0.2, 0.20]}, r"mine\.error_rates: \[0\.2, 0\.2\] has non-unique"),
        (
            {"error_rates": [0.12345671, 0.12345672]},
            r"mine\.error_rates: two rates differ in the seventh digit only",
        ),
        ({"error_rates": [0.5], "noise_ratios": [1.0]}, r"mine\.error_rates: not together with"),
        ({}, r"mine\.noise_ratios: missing; say noise_ratios"),
        ({"error_rate": [0.5]}, r"mine\.error_rate: unknown key \(did you mean error_rates\?\)"),
    ],
)
def test_mistakes_are_one_line_that_names_the_key(change, message):
    with pytest.raises(NoiselabError, match=message) as error:
        plan(**change)
    assert "\n" not in str(error.value)


def test_a_corruption_of_its_own_rate_plans_a_clean_and_a_noisy_run(own_rate):
    planned = plan(corruption="own_rate", budget="fixed_clean")
    clean, noisy = (planned.runs[run] for run in planned.experiments["mine"])
    assert clean.corruption == "none"
    assert noisy.run_id == "classifier/digits/own_rate-fixed_clean-s0"
    assert (noisy.noise_ratio, noisy.error_rate) == (pytest.approx(1 / 3), 0.25)
    assert noisy.training["steps"] == pytest.approx(4 / 3 * clean.training["steps"], abs=1)
    with pytest.raises(NoiselabError, match=r"noise_ratios: own_rate has a rate of its own"):
        plan(corruption="own_rate", noise_ratios=[0, 1.0])


def test_a_rate_that_nobody_knows_leaves_the_total_fixed(own_rate):
    own_rate.error = None
    noisy = plan(corruption="own_rate").runs["classifier/digits/own_rate-fixed_total-s0"]
    assert (noisy.noise_ratio, noisy.error_rate) == (None, None)
    with pytest.raises(NoiselabError, match=r"mine\.budget: how many targets are wrong is not"):
        rates(OWN | {"corruption": "own_rate", "budget": "fixed_clean"}, {}, "mine.")


def test_batch_multipliers_are_found_by_ratio():
    planned = plan(error_rates=[0.5, 0.2, 1], batch_multiplier={"1.0": 4})
    found = [planned.runs[run].batch_multiplier for run in planned.experiments["mine"]]
    assert found == [4, 1, 1]


def starts(**init):
    """Ids of the runs that those of an experiment start from."""
    other = OWN | {"error_rates": [0, 0.4]}
    own = OWN | {"error_rates": [0], "init": {"experiment": "other"} | init}
    changes = {"experiments": {"other": other, "mine": own}, "only": ["other", "mine"]}
    planned = runs.plan(config.load(changes, tier="smoke"), "results/smoke")
    return [planned.runs[run].parents["init"] for run in planned.experiments["mine"]]


def test_a_training_may_start_from_a_run_by_its_error_rate():
    name = "classifier/digits/{}-s0"
    assert starts() == [name.format("clean")]
    assert starts(error_rate=0.4) == [name.format("uniform_label-e0.4-fixed_total")]
    assert starts(error_rate=0.5) == starts(noise_ratio=1.0)
    with pytest.raises(NoiselabError, match=r"init\.error_rate: not together with noise_ratio"):
        starts(error_rate=0.5, noise_ratio=1.0)


# ---------------------------------------------------------------------------------- tables


def row(ratio, error, value, **changes):
    """A row as collect_metrics writes it."""
    keys = dict.fromkeys(["source_share", "classes", "train_size", "stands_in_for"])
    keys |= {"family": "classifier", "dataset": "digits", "corruption": "uniform_label"}
    keys |= {"resample": "fresh", "budget": "fixed_total", "protocol": "text", "seed": 0}
    keys |= {"batch_multiplier": 1, "noise_ratio": ratio, "error_rate": error, "unit": "%"}
    keys |= {"metric": "accuracy", "value": value, "ci_low": None, "ci_high": None}
    keys |= {"interval": "none", "floor": None, "items": 10, "reason": None, "tier": "smoke"}
    return keys | {"measured_error_rate": error, "run_id": f"a/b/{value}"} | changes


def test_tables_have_rows_of_rates_that_are_no_ratio():
    rows = [row(None, 1.0, 10.0), row(None, None, 30.0), row(0.5, 1 / 3, 80.0), row(0, 0, 90.0)]
    table = tables.runs_table(pd.DataFrame(rows), {})
    assert list(table["row"]) == ["0 %", "33.33 %", "100 %", "given"]
    assert list(table["ours"]) == [90, 80, 10, 30]
    for render in layouts.FORMATS.values():
        assert "given" in render(table, "title", [])
    assert layouts.layout(table).index.name == "Error rate"


def test_short_ratios_are_printed_as_in_the_paper():
    rows = [row(0, 0, 90.0), row(0.3, 3 / 13, 80.0), row(4.0, 0.8, 20.0)]
    table = tables.runs_table(pd.DataFrame(rows), {})
    assert list(table["row"]) == ["100:0", "100:30", "100:400"]
    assert layouts.layout(table).index.name == "Correct:Incorrect"
    assert tables.ratio_label(None, 1.0) == "0:100"
    assert tables.ratio_label(None, None) == "given"


def notes(*rows) -> list[str]:
    table = tables.runs_table(pd.DataFrame(rows), {})
    return table_notes(table, "smoke", "that of a calibrated model.")


def test_nominal_and_true_rates_stand_beside_each_other_where_they_differ():
    measured = {"measured_error_rate": 0.357, "corruption": "symmetric"}
    differing = row(2 / 3, 0.4, 80.0, true_error_rate=0.36, **measured)
    line = "Error rates of symmetric, nominal → true: 40 % → 36 % (35.7 % measured)."
    assert line in notes(row(0, 0, 90.0, true_error_rate=0.0), differing)


def test_nothing_is_said_of_rates_that_are_the_same():
    same = row(1.0, 0.5, 80.0, true_error_rate=0.5)
    assert notes(row(0, 0, 90.0), same) == notes(row(0, 0, 90.0), row(1.0, 0.5, 80.0))


def test_rates_by_class_are_in_the_notes():
    noisy = row(1 / 3, 0.25, 80.0, true_error_rate=0.25, class_error_rates="0: 0 %, 1: 50 %")
    assert "Error rates by class at 25 %: 0: 0 %, 1: 50 %." in notes(noisy)


def test_a_table_says_why_there_is_no_floor():
    why = "nobody knows the true labels"
    rows = [row(0, 0, 90.0, floor=90.0), row(None, None, 30.0, floor_reason=why)]
    table = tables.runs_table(pd.DataFrame(rows), {})
    lines = table_notes(table, "smoke", "that of a calibrated model.")
    assert f"No floor is known of accuracy: {why}." in lines


def test_a_floor_that_nobody_knows_is_left_out_with_the_reason():
    class Silent(UniformLabel):
        def why_no_floor(self, score):
            return "because" if score == "accuracy" else None

    p = np.random.default_rng(0).dirichlet(np.ones(4), 50)
    scores = classifier_metrics(p, np.arange(50) % 4, p, UniformLabel(0.3, 4))
    found = explained(scores | {"snapshot_accuracy": scores["accuracy"]}, Silent(0.3, 4))
    for name in ("accuracy", "snapshot_accuracy"):
        assert (found[name]["floor"], found[name]["floor_reason"]) == (None, "because")
    assert found["kl"] == scores["kl"]


def test_a_table_in_which_all_diverged_was_run():
    rows = [row(r, r / (1 + r), None, reason="training diverged") for r in (0, 1.0)]
    (first, *_) = table_notes(tables.runs_table(pd.DataFrame(rows), {}), "smoke", "a floor.")
    assert first.startswith("Tier smoke")
    assert "Seeds per cell" not in first


def test_rows_of_given_labels_say_what_was_measured():
    assert tables.ratio_label(0.5, 1 / 3) == "100:50"
    assert tables.ratio_label(None, 1.0) == "0:100"
    assert tables.ratio_label(None, None) == "given"
    assert tables.ratio_label(None, None, 0.40208) == "given, 40.2 % wrong"
