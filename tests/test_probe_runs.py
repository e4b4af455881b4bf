"""Runs of probes: planning, what is chosen, tables, and the whole way."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from helpers import example_run, small_vit
from noiselab.answers import probes as tables
from noiselab.answers.statistics.evidence import Measured
from noiselab.answers.statistics.probes import GAIN
from noiselab.errors import NoiselabError
from noiselab.families.probe import task
from noiselab.families.probe.cost import fits
from noiselab.families.probe.grid import method_settings
from noiselab.families.probe.score import scores
from noiselab.measures.probes.fits import Items
from noiselab.planning import config, runs
from project import Project

# ------------------------------------------------------------------------------- planning

PROBES = {
    "family": "probe",
    "backbone": {"experiment": "table7"},
    "datasets": ["docstring_package"],
    "seeds": [0, 1, 2],
}


def planned(**changes):
    experiment = {key: value for key, value in (PROBES | changes).items() if value is not None}
    return runs.plan(config.load({"experiments": {"probes": experiment}}, tier="smoke"), "r")


def test_there_is_a_probe_of_each_backbone_and_head():
    plan = planned()
    found = [plan.runs[name] for name in plan.experiments["probes"]]
    trained = plan.experiments["table7"]
    wanted = [(name, head) for name in trained for head in ("linear", "mlp")]
    assert [(run.parents["backbone"], run.head) for run in found] == wanted
    for run in found:
        own = plan.runs[run.parents["backbone"]]
        assert run.seeds == [0, 1, 2]
        assert (run.seed, run.backbone["error_rate"]) == (own.seed, own.error_rate)
        assert run.corruption == "none", "the labels of a task are right"


def test_backbones_are_planned_with_their_parents_though_only_their_probes_are_asked_for():
    settings = config.load({"experiments": {"probes": PROBES}, "only": ["probes"]}, tier="smoke")
    plan = runs.plan(settings, "r")
    assert list(plan.experiments) == ["probes"]
    for name in plan.experiments["probes"]:
        trained = plan.runs[plan.runs[name].parents["backbone"]]
        assert trained.parents["clean"] in plan.runs
    assert set(plan.datasets) == {"docstring_package", "docstrings"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": {"experiment": "table77"}}, r"backbone.experiment: no experiment 'table77'"),
        ({"backbone": {"experiment": "table9"}}, "no experiment 'table9' whose models have"),
        ({"datasets": ["digits"]}, "digits has images, which language_model/.* cannot see"),
        ({"backbone": {"experiment": "table2"}}, "docstring_package has texts, which classifier/"),
        ({"datasets": ["docstrings"]}, "docstrings is not for a probe"),
        ({"noise_ratios": [0.1]}, "noise_ratios: not of a probe"),
        ({"init": {"experiment": "table7"}}, "probes.init: not of a probe"),
        ({"init": {"weights": "missing.safetensors"}}, "probes.init: not of a probe"),
        ({"backbone": None}, "experiments.probes.backbone: is missing"),
        ({"training": {"methods": {"plain": {"penalty": "norm"}}}}, "methods.plain.penalty: no"),
        ({"training": {"methods": {"plain": {"radius": [0.1]}}}}, "plain.radius: 0.1 of no noise"),
        ({"training": {"methods": {"own": {"strength": [1]}}}}, "own.strength: 1 of no penalty"),
    ],
)
def test_a_mistake_is_one_line(changes, message):
    with pytest.raises(NoiselabError, match=message):
        planned(**changes)


# ------------------------------------------------------------------------------- selection

METHODS = {
    "plain": {},
    "gradient_matching": {
        "penalty": "gradient_matching",
        "radius": [0.1, 1.0],
        "strength": [0.15, 5.0],
    },
    "early_stopping": {"early_stopping": True},
}
RUN = {
    "head": "linear",
    "model": {"name": "linear"},
    "classes": 3,
    "epochs": 6,
    "features": {"kind": "last", "standardised": True},
    "validation_share": 0.2,
    "grid": {"learning_rate": [1e-3, 3e-2], "batch_size": [8]},
    "methods": METHODS,
    "seeds": [0, 1, 2],
    "backbone": {"run_id": "x", "noise": "clean", "error_rate": 0.0, "model": {"width": 6}},
}
RUN["training"] = {"schedule": "constant", "optimizer": {"weight_decay": 0.0}}


@pytest.fixture(scope="module")
def arrays():
    """Features of 160 items of three classes that overlap."""
    rng = np.random.default_rng(0)
    labels = np.arange(160) % 3
    x = rng.normal(size=(3, 6))[labels] + 1.5 * rng.normal(size=(160, 6))
    x = (5 + 0.1 * x).astype(np.float32)
    parts = {"train": slice(0, 100), "test": slice(100, 160)}
    found = {f"{name}_last": x[rows] for name, rows in parts.items()}
    return found | {f"{name}_labels": labels[rows] for name, rows in parts.items()}


@pytest.fixture(scope="module")
def fitted(arrays):
    run = example_run(**RUN)
    return task.fitted(run, task.splits(run, arrays))


def test_validation_is_a_part_of_training_and_training_alone_sets_the_scale(arrays):
    found = task.splits(example_run(**RUN), arrays)
    assert [len(found[s].labels) for s in ("train", "validation", "test")] == [80, 20, 60]
    torch.testing.assert_close(found["train"].features.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        found["train"].features.std(0, correction=0), torch.ones(6), atol=1e-4, rtol=0
    )
    plain = task.splits(
        example_run(**RUN | {"features": RUN["features"] | {"standardised": False}}), arrays
    )
    together = torch.cat([plain["train"].features, plain["validation"].features])
    assert sorted(map(tuple, together.tolist())) == sorted(
        map(tuple, arrays["train_last"].tolist())
    )
    with pytest.raises(NoiselabError, match=r"features\.kind: no mean"):
        task.splits(
            example_run(**RUN | {"features": {"kind": "mean", "standardised": True}}), arrays
        )


def test_all_that_was_tried_is_kept(fitted):
    tried, _ = fitted
    assert tried.groupby("method").size().to_dict() == {
        "plain": 2 * 3,
        "gradient_matching": 2 * 4 * 3,
        "early_stopping": 2 * 3,
    }
    assert len(tried) == fits(example_run(**RUN))
    more = METHODS | {"more_rates": {"learning_rate": [1e-4, 1e-3, 1e-2, 1e-1]}}
    grown = fits(example_run(**RUN | {"methods": more})) - fits(example_run(**RUN))
    assert grown == len(RUN["seeds"]) * 4 * len(RUN["grid"]["batch_size"])
    assert sorted(
        map(tuple, tried[tried["method"] == "plain"][["learning_rate", "seed"]].values)
    ) == [(rate, seed) for rate in (1e-3, 3e-2) for seed in (0, 1, 2)]


def test_the_best_mean_on_validation_is_chosen_for_all_seeds(fitted):
    tried, chosen = fitted
    settings = ["learning_rate", "radius", "strength"]
    for method, rows in chosen.groupby("method"):
        own = tried[tried["method"] == method]
        means = own.groupby(settings)["validation_accuracy"].mean()
        assert len(rows) == 3
        assert len(rows[settings].drop_duplicates()) == 1
        assert rows["validation_accuracy"].mean() == pytest.approx(means.max())


def test_the_test_set_chooses_nothing(arrays, fitted):
    run = example_run(**RUN)
    items = task.splits(run, arrays)
    items["test"] = Items(items["test"].features, items["test"].labels.flip(0))
    other = task.fitted(run, items)[1]
    same = [column for column in other if not column.startswith(("test", "majority"))]
    pd.testing.assert_frame_equal(other[same], fitted[1][same])


def test_early_stopping_ends_where_validation_is_best(fitted):
    tried, _ = fitted
    stopped, plain = (tried[tried["method"] == m] for m in ("early_stopping", "plain"))
    assert (plain["epoch"] == 6).all()
    key = ["learning_rate", "seed"]
    both = stopped.merge(plain, on=key, suffixes=("", "_plain"))
    means = both.groupby("learning_rate")[
        ["validation_accuracy", "validation_accuracy_plain"]
    ].mean()
    assert (means["validation_accuracy"] >= means["validation_accuracy_plain"]).all()
    assert stopped.groupby("learning_rate")["epoch"].nunique().eq(1).all()


def test_settings_are_the_combinations_of_a_methods_values():
    run = example_run(**RUN)
    found = method_settings(run, METHODS["gradient_matching"] | {"learning_rate": [0.5]})
    assert [(s.learning_rate, s.strength, s.radius) for s in found] == [
        (0.5, strength, radius) for strength in (0.15, 5.0) for radius in (0.1, 1.0)
    ]
    assert {replace(s, strength=1, radius=1) for s in found} == {
        replace(found[0], strength=1, radius=1)
    }


# ------------------------------------------------------------------------------------ tables


def metrics_rows(fitted, tmp_path, **changes):
    fitted[1].to_csv(tmp_path / "chosen.csv", index=False)
    run = example_run(**RUN | {"run_id": str(changes)} | changes)
    found = scores(run, {"chosen": tmp_path / "chosen.csv"})
    about = {"run_id": run.run_id, "family": "probe", "dataset": run.dataset, "stands_in_for": None}
    return [about | {"metric": name} | score for name, score in found.items()]


def test_gains_are_paired_by_seed_and_corrected_for_all_cells(fitted, tmp_path):
    rows = metrics_rows(fitted, tmp_path, dataset="a") + metrics_rows(fitted, tmp_path, dataset="b")
    table = tables.gains_table(pd.DataFrame(rows))
    pivot = fitted[1].pivot(index="seed", columns="method", values="test_accuracy")
    gain = pivot["gradient_matching"] - pivot["plain"]
    cell = table[(table["dataset"] == "a") & (table["row"] == "clean + L_gm")]
    own = cell[cell["metric"] == "gain"].iloc[0]
    test = stats.ttest_1samp(gain, 0)
    interval = test.confidence_interval(0.95)
    assert own["ours"] == pytest.approx(gain.mean())
    assert (own["ci_low"], own["ci_high"]) == pytest.approx((interval.low, interval.high))
    p = cell[cell["metric"] == "p_holm"]["ours"].iloc[0]
    assert min(1, test.pvalue) - 1e-9 <= p <= min(1, 4 * test.pvalue) + 1e-9
    wide = cell[cell["metric"] == "gain_holm"].iloc[0]
    assert (wide["ours"], wide["interval"]) == (own["ours"], "t_fits_holm")
    assert (wide["ci_low"] <= 0 <= wide["ci_high"]) == (p > 0.05)
    widest = test.confidence_interval(1 - 0.05 / 4)
    assert widest.low - 1e-9 <= wide["ci_low"] <= own["ci_low"]
    average = table[(table["dataset"] == "average") & (table["row"] == "clean + L_gm")].iloc[0]
    assert average["ours"] == pytest.approx(gain.mean())
    assert average["ci_low"] == pytest.approx(average["ci_high"]), "both data sets have the same"


def test_rows_of_accuracies_are_backbones_and_methods(fitted, tmp_path):
    noisy = {"run_id": "y", "noise": "uniform text, 5 %", "error_rate": 0.05}
    rows = metrics_rows(fitted, tmp_path, dataset="a", backbone=RUN["backbone"] | noisy)
    rows += metrics_rows(fitted, tmp_path, dataset="a")
    published = {
        "rows": [["clean", "plain"], ["uniform text, 5 %", "gradient_matching"]],
        "metrics": {"linear": {"paper": [86.71, 87.19]}},
    }
    frame = pd.DataFrame(rows).assign(stands_in_for="paper")
    table = tables.probes_table(frame, published)
    assert list(table["row"]) == [
        *("clean", "clean + L_gm", "clean + early stopping"),
        *("uniform text, 5 %", "uniform text, 5 % + L_gm", "uniform text, 5 % + early stopping"),
    ]
    assert table["published"].tolist()[0::4] == [86.71, 87.19]
    assert table["published"].notna().sum() == 2


def test_several_backbones_of_one_noise_count_once_each(fitted, tmp_path):
    rows = metrics_rows(fitted, tmp_path, seed=0) + metrics_rows(fitted, tmp_path, seed=1)
    first, second = (row for row in rows if row["metric"] == "gain_gradient_matching")
    second["by_seed"] = " ".join(str(float(n) + 1) for n in second["by_seed"].split())
    table = tables.gains_table(pd.DataFrame(rows))
    cell = table[(table["row"] == "clean + L_gm") & (table["metric"] == "gain")].iloc[0]
    mean = np.mean([float(n) for n in first["by_seed"].split()])
    assert (cell["ours"], cell["n_seeds"]) == (pytest.approx(mean + 0.5), 2)
    assert cell["interval"] == "t_seeds"


def test_the_gain_of_a_claim_is_paired_over_fits_and_then_over_tasks(fitted, tmp_path):
    rows = metrics_rows(fitted, tmp_path, dataset="a") + metrics_rows(fitted, tmp_path, dataset="b")
    for row in rows[len(rows) // 2 :]:
        if row.get("method") == "gradient_matching" and row["metric"].startswith("accuracy"):
            row["by_seed"] = " ".join(str(float(n) + 2) for n in row["by_seed"].split())
    frame = pd.DataFrame(rows).assign(stands_in_for="sst2", source_share=None)
    statistic = {"experiment": "e", "method": "gradient_matching", "head": "linear"}
    statistic |= {"noise": "clean", "of": ["sst2", "cr"]}
    (found,) = GAIN.tests(statistic, Measured("quick", {"e": frame}))
    pivot = fitted[1].pivot(index="seed", columns="method", values="test_accuracy")
    gain = pivot["gradient_matching"] - pivot["plain"]
    assert (found.datasets, found.seeds) == (("a", "b"), 3)
    fits, tasks = (found.by_ruler[name].estimate for name in ("over fits", "over tasks"))
    interval = stats.ttest_1samp(gain + 1, 0).confidence_interval(0.95)
    assert fits.value == tasks.value == pytest.approx(gain.mean() + 1)
    assert (fits.ci_low, fits.ci_high) == pytest.approx((interval.low, interval.high))
    two = stats.ttest_1samp([gain.mean(), gain.mean() + 2], 0).confidence_interval(0.95)
    assert (tasks.ci_low, tasks.ci_high) == pytest.approx((two.low, two.high))
    assert not list(GAIN.tests(statistic | {"noise": "noisy"}, Measured("quick", {"e": frame})))


# -------------------------------------------------------------------------- the whole way


def test_from_images_to_a_table(tmp_path):
    project = Project(tmp_path / "project")
    small_vit(project.folder / "data_here" / "models" / "small_vit")
    images = {"backbone": {"models": ["small_vit"]}, "datasets": ["digits"], "heads": ["linear"]}
    content = {"data": {"root": "data_here"}, "experiments": {"images_probed": PROBES | images}}
    (project.folder / "probes.json").write_text(json.dumps(content))
    call = ("--configfile", "probes.json", "--config", "tier=smoke", "name=probed", "--")
    project.call(*call, "images_probed")
    table = pd.read_csv(project.results / "own/probed/tables/images_probed.csv")
    assert table["row"].tolist() == ["small_vit", "small_vit + L_gm"]
    assert table["ours"].between(0, 100).all()
    again = project.call("-n", *call, "images_probed")
    assert "Nothing to be done" in again.stdout + again.stderr
