"""The study of open questions: its plan, and the tables that only it has."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers import example_run
from noiselab.answers.competence import gates
from noiselab.answers.contrasts import side_by_side_table
from noiselab.answers.figures import recovery_figure, saving
from noiselab.answers.recoveries import recoveries_table, recovery_courses
from noiselab.errors import NoiselabError
from noiselab.files import ROOT
from noiselab.planning import config, project

RATIOS = {0.0, 0.1, 0.3, 0.5, 1.0}
OTHERS = ("vit_", "text_")  # names of families beside classifiers
STARTS = ("short_clean", "short_noisy", "long_clean", "long_noisy")


@pytest.fixture(scope="module")
def graph():
    settings = config.load({"studies": ["open_questions"]}, tier="quick")
    return project.plan(settings, "results/quick").graph


@pytest.fixture(scope="module")
def rest():
    """What a file adds to tier quick."""
    file = ROOT / "config/studies/open_questions/generators_and_text.yaml"
    return project.plan(config.load(file, tier="quick"), "results/quick").graph


# ------------------------------------------------------------------------------------ the plan


@pytest.fixture(scope="module", params=["smoke", "desk", "lab"])
def larger(request, tmp_path_factory):
    """The plan of a tier that asks more."""
    root = str(tmp_path_factory.mktemp("data"))
    changes = {"studies": ["open_questions"], "data": {"root": root}}
    settings = config.load(changes, tier=request.param)
    return project.plan(settings, f"results/{request.param}").graph


def test_the_rest_of_tier_quick_is_generators_and_text(graph, rest):
    asked, more = set(graph.plan.experiments), set(rest.plan.experiments)
    assert not asked & more
    assert {run.family for run in graph.plan.runs.values()} == {"classifier"}
    trained = {
        run.family for name in more for run in map(rest.plan.runs.get, rest.plan.experiments[name])
    }
    assert trained == {"language_model", "seq2seq", "diffusion"}


def test_larger_tiers_ask_all(larger, graph, rest):
    for asked in (graph, rest):
        assert set(asked.plan.experiments) <= set(larger.plan.experiments)
    test_every_question_has_a_table_and_every_experiment_a_gate(larger)


def test_what_was_learned_before_is_a_grid_of_five_noise_ratios(larger):
    """Nothing, briefly or long, with clean or noisy targets; other data before, in the same tokens
    where it is text; each at the same seed."""
    plan = larger.plan
    ratios = {0.0, 1.0} if larger.config["tier"] == "smoke" else RATIOS
    for prefix, nothing in (("", "plain_uniform"), *((p, f"{p}after_nothing") for p in OTHERS)):
        starts = [f"{prefix}after_{how}" for how in STARTS]
        for name in (nothing, *starts):
            runs = [plan.runs[run] for run in plan.experiments[name]]
            assert {run.noise_ratio for run in runs} == ratios
            assert len({run.run_id for run in runs}) == len(runs)
        for name, how in zip(starts, STARTS, strict=True):
            for run in (plan.runs[run_id] for run_id in plan.experiments[name]):
                first = plan.runs[run.parents["init"]]
                assert (first.noise_ratio > 0) == how.endswith("noisy")
                assert first.dataset != run.dataset
                assert first.model == run.model
                assert (first.seed, first.family) == (run.seed, run.family)
                own, other = (plan.datasets[r.dataset] for r in (run, first))
                for key in ("tokenizer_parts", "tokenizer_packages", "vocabulary"):
                    assert own.get(key) == other.get(key)
        steps = {
            length: plan.runs[plan.experiments[f"{prefix}before_{length}"][0]].training["steps"]
            for length in ("short", "long")
        }
        assert steps["short"] < steps["long"]


def test_every_question_has_a_table_and_every_experiment_a_gate(graph):
    tables = {name for name, a in graph.artefacts.items() if a.kind == "table"}
    shown = {e for name in tables for e in graph.artefacts[name].experiments}
    asked = set(graph.plan.experiments)
    assert asked == shown
    assert asked <= set(gates(config.published(["open_questions"])))


def test_nothing_is_planned_where_no_tier_asks_for_it():
    settings = config.load({"studies": ["open_questions"]}, tier="paper")
    with pytest.raises(NoiselabError, match="experiments: none is enabled"):
        project.plan(settings, "results/paper")


def test_those_that_go_on_begin_with_the_run_of_their_seed_and_its_noise(graph):
    plan = graph.plan
    for name, noise in (("after_long_noisy", "uniform_label-r1.00"), ("back_clean", "clean")):
        for run in (plan.runs[run_id] for run_id in plan.experiments[name]):
            first = plan.runs[run.parents["init"]]
            assert first.seed == run.seed
            assert first.run_id.rpartition("/")[2].startswith(noise)


def test_seeds_differ_by_nothing_else_than_what_is_asked(graph):
    """Side by side at each seed: data, noise and recipe are the same but for the network."""
    plan = graph.plan
    pairs = zip(plan.experiments["resnet_shift"], plan.experiments["mlp_shift"], strict=True)
    for first, second in pairs:
        ours, theirs = (plan.runs[run].content() for run in (first, second))
        differing = {key for key in ours if ours[key] != theirs[key]}
        assert differing <= {"run_id", "parents", "model"}


def test_the_costs_that_the_page_shows_are_of_these_plans(graph, larger):
    """`make results` writes them. Networks are not counted here, which takes a while."""
    written = pd.read_csv(ROOT / "docs/results/open_questions.csv")
    for planned in (graph, larger):
        tier = planned.config["tier"]
        told = written[written["tier"] == tier].set_index("artefact")["trainings"]
        assert len(told) == 0 or tier != "smoke"
        for name, artefact in planned.artefacts.items() if len(told) else ():
            needed = planned.closure([artefact.job])
            assert told[name] == sum(job.startswith("train/") for job in needed)
    assert set(written["tier"]) == {"quick", "desk", "lab"}


# ----------------------------------------------------------------------------------- its tables


def rows(run_id, corruption, values, floor=None):
    """Rows of metrics.csv of several seeds."""
    own = {"family": "classifier", "dataset": "digits", "stands_in_for": "cifar10"}
    own |= {"protocol": "text", "metric": "accuracy", "unit": "%", "interval": "wilson_items"}
    own |= dict.fromkeys(["source_share", "reason", "floor_reason", "error_rate", "noise_ratio"])
    own |= {"batch_multiplier": 1, "items": 500, "measured_error_rate": 0.0}
    return pd.DataFrame(
        [
            own
            | {"run_id": f"{run_id}-s{seed}", "seed": seed, "corruption": corruption}
            | {"value": v, "floor": floor or v, "ci_low": v - 1, "ci_high": v + 1}
            for seed, v in enumerate(values)
        ]
    )


def test_each_model_has_its_own_clean_row_once():
    first, second = rows("a/clean", "none", [98.0, 99]), rows("b/clean", "none", [90.0, 91])
    metrics = {
        "a_uniform": pd.concat([first, rows("a/uniform", "uniform_label", [97.0, 98], 98)]),
        "a_shift": pd.concat([first, rows("a/shift", "shift_label", [50.0, 60], 52)]),
        "b_shift": pd.concat([second, rows("b/shift", "shift_label", [40.0, 44], 50)]),
    }
    labels = {"a_uniform": "A", "a_shift": "A", "b_shift": "B"}
    table = side_by_side_table(metrics, labels, ["accuracy"])
    assert list(table["row"]) == ["A, clean", "A, uniform", "A, shift", "B, clean", "B, shift"]
    assert list(table["ours"]) == [98.5, 97.5, 55, 90.5, 42]
    assert (table["n_seeds"] == 2).all()
    assert table["excess"].iloc[-1] == -8


def test_noise_ratios_have_a_row_each_where_there_are_several():
    clean = rows("a/clean", "none", [98.0, 99]).assign(noise_ratio=0.0, error_rate=0.0)
    parts = [
        rows(f"a/{ratio}", "uniform_label", [value, value + 1]).assign(
            noise_ratio=ratio, error_rate=ratio / (1 + ratio)
        )
        for ratio, value in ((1.0, 80.0), (0.5, 90.0))
    ]
    table = side_by_side_table({"a": pd.concat([clean, *parts])}, {"a": "A"}, ["accuracy"])
    assert list(table["row"]) == ["A, clean", "A, uniform, r = 0.5", "A, uniform, r = 1"]
    assert list(table["ours"]) == [98.5, 90.5, 80.5]


def recovery_run(start, seed):
    """A clean run that begins with the weights of another, or from the beginning."""
    parents = {} if start is None else {"init": f"classifier/digits/{start}-r1.00-x-s{seed}"}
    name = f"{start}-s{seed}"
    return example_run(
        run_id=name, family="classifier", dataset="digits", seed=seed, parents=parents
    )


@pytest.fixture
def recovered():
    """Runs and histories."""
    curves = {  # test accuracy at steps 10, 20, 30, 40, by start and seed
        (None, 0): [50, 80, 97.2, 98],
        (None, 1): [40, 96.9, 95, 97],
        ("uniform_label", 0): [97, 96, 98, 98.5],
        ("uniform_label", 1): [95, 95, 96, 97],
        ("shift_label", 0): [40, 50, 97, 97.5],
        ("shift_label", 1): [40, 50, 60, 70],
    }
    runs = [recovery_run(*key) for key in curves]
    histories = [
        [{"step": 5, "loss": 1.0}]
        + [{"step": 10 * (i + 1), "test_accuracy": v} for i, v in enumerate(values)]
        for values in curves.values()
    ]
    return runs, histories


def test_steps_until_a_score_is_back_are_those_of_its_first_evaluation_there(recovered):
    table = recoveries_table(*recovered).set_index(["metric", "row"])
    steps, share = table.loc["recovery_steps"], table.loc["recovery_share"]
    assert list(steps.index) == [
        "from the beginning",
        "after training with uniform noise",
        "after training with shift noise",
    ]
    # Wanted: a point less than at the end from the beginning, 97 and 96.
    assert list(steps["ours"][:2]) == [np.mean([30, 20]), np.mean([10, 30])]
    assert list(share["ours"][:2]) == [100, np.mean([100 / 3, 150])]
    low, high = stats.t.interval(0.95, 1, np.mean([10, 30]), stats.sem([10, 30]))
    assert (steps["ci_low"].iloc[1], steps["ci_high"].iloc[1]) == pytest.approx((low, high))
    assert steps["reason"].iloc[2] == "not reached by 1 of 2 trainings"
    assert np.isnan(steps["ours"].iloc[2])
    gains = table.loc["recovered_score", "ours"]
    assert list(gains) == [0, np.mean([0.5, 0]), np.mean([-0.5, -27])]


def test_of_an_nll_less_is_better():
    keys = {"family": "language_model", "dataset": "docstrings"}
    runs = [
        example_run(run_id="a", **keys),
        example_run(run_id="b", parents={"init": "x/permuted_token-r1.00-s0"}, **keys),
    ]
    histories = [
        [{"step": 1, "validation_nll": 5.0}, {"step": 2, "validation_nll": 4.0}],
        [{"step": 1, "validation_nll": 4.04}, {"step": 2, "validation_nll": 4.2}],
    ]
    table = recoveries_table(runs, histories).set_index(["metric", "row"])["ours"]
    assert table["recovery_steps", "after training with permuted noise"] == 1
    assert table["recovered_score", "after training with permuted noise"] == pytest.approx(-0.2)


def test_a_course_has_the_steps_of_both_until_each_score_and_ends_with_the_table_s(recovered):
    courses = recovery_courses(*recovered).set_index(["start", "seed"])
    uniform = courses.loc["after training with uniform noise"]
    # From the beginning 50, 80, 97 (98 less a point) and 97: at steps 10, 20, 30, 30.
    assert list(uniform.loc[0, "scratch_steps"]) == [10, 20, 30, 30]
    assert list(uniform.loc[0, "steps"]) == [10, 10, 10, 10]
    # 40, then 96, which is what is wanted, and stays the best.
    assert list(uniform.loc[1, "scratch_steps"]) == [10, 20, 20, 20]
    assert list(uniform.loc[1, "steps"]) == [10, 30, 30, 30]
    shift = courses.loc["after training with shift noise"]
    assert list(shift.loc[0, "steps"]) == [20, 30, 30, 30]
    assert list(shift.loc[1, "steps"].isna()) == [False, True, True, True]
    table = recoveries_table(*recovered).set_index(["metric", "row"]).loc["recovery_steps", "ours"]
    last = uniform[uniform["place"] == 3]
    assert last["steps"].mean() == table["after training with uniform noise"]
    assert last["scratch_steps"].mean() == table["from the beginning"]


def test_of_an_nll_a_course_goes_down():
    keys = {"family": "language_model", "dataset": "docstrings"}
    runs = [
        example_run(run_id="a", **keys),
        example_run(run_id="b", parents={"init": "x/permuted_token-r1.00-s0"}, **keys),
    ]
    nll = [[6.0, 4.5, 5.0, 4.0], [5.0, 4.5, 4.04, 4.2]]
    histories = [
        [{"step": i + 1, "validation_nll": v} for i, v in enumerate(values)] for values in nll
    ]
    courses = recovery_courses(runs, histories)
    assert list(courses["scratch_steps"]) == [1, 2, 2, 4]
    assert list(courses["steps"]) == [1, 2, 2, 3]  # 4.05 is wanted


def test_a_figure_of_recoveries_has_a_line_per_training_and_means_that_all_reach(recovered):
    figure = recovery_figure(recovery_courses(*recovered))
    data = figure.data
    means = data[data["kind"] == "mean of 2 trainings"].groupby("series", sort=False)
    values = {name: list(part["value"]) for name, part in means}
    assert values["after training with uniform noise"] == [10, 20, 20]
    assert values["after training with shift noise"] == [(20 + 10) / 2]
    thin = data[(data["kind"] == "seed 1") & (data["series"] == "after training with shift noise")]
    assert list(thin["value"]) == [10]
    same = data[data["series"] == "from the beginning"]
    assert list(same["value"]) == list(same["steps from the beginning until a score"])
    assert "uniform noise: 20 steps against 25" in figure.alt
    assert "shift noise: not reached by 1 of 2 trainings" in figure.alt
    for form in ("wide", "narrow"):
        drawn = saving.svg(getattr(figure, form), figure.alt, form)
        assert "from the beginning" in drawn
        assert "NaN" not in drawn
