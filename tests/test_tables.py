"""Tables: cells from runs, published numbers beside them, layouts in four formats."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from noiselab.answers import analysis_tables, layouts, notes, spectrum, tables
from noiselab.planning import config, runs


def rows(values, dataset="digits", stands_in_for="cifar10", metric="accuracy", **changes):
    """Rows as collect_metrics writes them; values: noise ratio -> one value per seed."""
    return [
        {
            "run_id": f"{dataset}-{ratio}-{seed}",
            "family": "classifier",
            "dataset": dataset,
            "stands_in_for": stands_in_for,
            "corruption": "uniform_label" if ratio else "none",
            "resample": "fresh",
            "budget": "fixed_clean",
            "protocol": "text",
            "source_share": np.nan,
            "batch_multiplier": 1,
            "classes": 10,
            "train_size": 1000,
            "noise_ratio": ratio,
            "error_rate": ratio / (1 + ratio),
            "seed": seed,
            "metric": metric,
            "unit": "%",
            "value": value,
            "ci_low": np.nan if value is None else value - 1,
            "ci_high": np.nan if value is None else value + 2,
            "interval": "wilson_items",
            "floor": 98.0,
            "items": 500,
            "measured_error_rate": ratio / (1 + ratio),
            "reason": None,
        }
        | changes
        for ratio, seeds in values.items()
        for seed, value in enumerate(seeds)
    ]


PUBLISHED = config.published()["table2"]


def texts(table):
    """The layout of a table as text."""
    return layouts.layout(table).map(str)


def test_two_experiments_of_one_data_set_are_no_seeds_of_each_other():
    """They share the clean run; the noisy ones differ in what no cell says, such as the network."""
    joint = pd.concat(
        [
            pd.DataFrame(rows({0: [98.0], 1.0: [90.0]})).assign(experiment="one"),
            pd.DataFrame(rows({0: [98.0], 1.0: [80.0]})).assign(experiment="other"),
        ]
    )
    noisy = (joint["experiment"] == "other") & (joint["noise_ratio"] == 1.0)
    joint.loc[noisy, "run_id"] = "another network"
    table = tables.runs_table(joint, PUBLISHED)
    cells = table[table["metric"] == "accuracy"].set_index("panel")["ours"]
    assert cells.to_dict() == {
        "accuracy (%)": 98.0,
        "accuracy (%), one": 90.0,
        "accuracy (%), other": 80.0,
    }
    assert (table["n_seeds"] == 1).all()


def test_learning_rates_of_an_experiment_are_no_seeds_of_each_other():
    usual, other = (pd.DataFrame(rows({0: [98.0], 1.0: [v]})) for v in (90.0, 80.0))
    other = other.assign(run_id="l2-" + other["run_id"], learning_rate_multiplier=2.0)
    table = tables.runs_table(pd.concat([usual, other]), PUBLISHED)
    cells = table[(table["metric"] == "accuracy") & (table["noise_ratio"] == 1)].set_index("panel")
    assert cells["ours"].to_dict() == {
        "accuracy (%)": 90.0,
        "accuracy (%), learning rate × 2": 80.0,
    }


def test_one_seed_keeps_the_interval_over_items():
    table = tables.runs_table(pd.DataFrame(rows({0: [98.0], 1.0: [90.0]})), PUBLISHED)
    cell = table.set_index("noise_ratio").loc[1.0]
    assert (cell["ours"], cell["ci_low"], cell["ci_high"]) == (90, 89, 92)
    assert (cell["published"], cell["floor"], cell["excess"]) == (85.35, 98, -8)
    assert cell["n_seeds"] == 1


def test_several_seeds_give_mean_and_t_interval():
    table = tables.runs_table(pd.DataFrame(rows({0.1: [90.0, 92.0, 94.0]})), PUBLISHED)
    cell = table.iloc[0]
    assert cell["ours"] == 92
    # t(0.975, 2) = 4.303 times the standard error 2 / sqrt(3)
    assert cell["ci_high"] - 92 == pytest.approx(4.30265 * 2 / np.sqrt(3), rel=1e-5)
    assert (cell["n_seeds"], cell["interval"]) == (3, "t_seeds")


def test_a_number_that_was_not_measured_is_an_empty_cell_with_its_reason():
    values = rows({0: [98.0]}) + rows({1.0: [None]}, reason="training diverged")
    table = tables.runs_table(pd.DataFrame(values), PUBLISHED)
    assert np.isnan(table["ours"].iloc[1])
    for render in layouts.FORMATS.values():
        assert "training diverged" in render(table, "Title", [])


def test_published_numbers_go_to_the_right_data_set_and_ratio():
    values = rows({0.3: [1.0]}, "a", "cifar100") + rows({0.3: [2.0], 0.2: [3.0]}, "b", "cifar10")
    table = tables.runs_table(pd.DataFrame(values), PUBLISHED).set_index(["dataset", "noise_ratio"])
    assert table.loc[("a", 0.3), "published"] == 67.68
    assert table.loc[("b", 0.3), "published"] == 90.18
    assert np.isnan(table.loc[("b", 0.2), "published"])


def test_published_numbers_of_another_noise_are_not_set_beside_ours():
    values = rows({0: [98.0]}) + rows({1.0: [90.0]}, corruption="shift_label")
    table = tables.runs_table(pd.DataFrame(values), PUBLISHED).set_index("noise_ratio")
    assert table.loc[0, "published"] == PUBLISHED["metrics"]["accuracy"]["cifar10"][0]
    assert np.isnan(table.loc[1.0, "published"])


def test_an_experiment_of_ones_own_has_no_published_column():
    table = tables.runs_table(pd.DataFrame(rows({0: [98.0]}, "mine", None)), {})
    assert table["published"].isna().all()
    kinds = [kind for _, kind in texts(table).columns]
    assert kinds == ["ours, one training [95 % CI]", "floor", "loss above the floor [95 % CI]"]
    assert len(notes.notes(table, "quick", "a floor.")) == 1


def test_data_that_stands_in_for_other_data_is_said_so():
    table = tables.runs_table(pd.DataFrame(rows({0: [98.0]})), PUBLISHED)
    assert "Other data sets than the paper's" in notes.notes(table, "quick", "a floor.")[1]
    real = tables.runs_table(pd.DataFrame(rows({0: [98.0]}, "cifar10")), PUBLISHED)
    assert len(notes.notes(real, "paper", "a floor.")) == 1


def test_layout_has_the_papers_rows():
    values = {0: [98.0], 0.1: [97.0], 0.3: [96.0], 0.5: [95.0], 1.0: [90.0]}
    grid = texts(tables.runs_table(pd.DataFrame(rows(values)), PUBLISHED))
    assert grid.index.tolist() == ["100:0", "100:10", "100:30", "100:50", "100:100"]
    assert grid.iloc[4].tolist() == [
        "85.35",
        "90.00 [89.00, 92.00]",
        "98.00",
        "+8.00 [+6.00, +9.00]",
    ]


@pytest.mark.parametrize(
    ("metric", "text"),
    [("accuracy", "+8.00 [+6.00, +9.00]"), ("nll", "-8.0000 [-9.0000, -6.0000]")],
)
def test_what_is_lost_above_the_floor_is_positive_whichever_way_a_score_counts(metric, text):
    """90 [89, 92] with a floor of 98 is worse for an accuracy and better for an NLL; the csv keeps
    ours - floor for both."""
    table = tables.runs_table(
        pd.DataFrame(rows({1.0: [90.0]}, metric=metric)), {"metrics": {metric: {}}}
    )
    assert table["excess"].tolist() == [-8.0]
    (above,) = texts(table).xs("loss above the floor [95 % CI]", axis=1, level=1).to_numpy()
    assert above.tolist() == [text]
    way = "floor − ours" if metric == "accuracy" else "ours − floor"
    assert f"= {way}, so that more is worse" in notes.notes(table, "quick", "a floor.")[0]


def test_the_data_of_a_table_have_the_cells_of_its_layout_and_their_runs():
    table = tables.runs_table(pd.DataFrame(rows({0: [98.0], 1.0: [90.0, 92.0]})), PUBLISHED)
    content = json.loads(layouts.data(table, "Title", ["A note."]))
    assert (content["title"], content["notes"]) == ("Title", ["A note."])
    (grid,) = content["grids"]
    laid_out = texts(table)
    assert grid["rows"] == laid_out.index.tolist()
    (block,) = grid["blocks"]
    assert [column["kind"] for column in block["columns"]] == ["paper", "ours", "floor", "loss"]
    for column, (_, text) in zip(block["columns"], laid_out.items(), strict=True):
        parts = [layouts.Cell(**cell | {"runs": ()}) for cell in column["cells"]]
        assert list(map(str, parts)) == text.tolist()
    paper, ours, *_ = block["columns"]
    assert [len(cell["runs"]) for cell in ours["cells"]] == [1, 2]
    assert not any(cell["runs"] for cell in paper["cells"])


def test_latex_has_no_bare_special_characters():
    table = tables.runs_table(pd.DataFrame(rows({0: [98.0]})), PUBLISHED)
    text = layouts.latex(table, "100 % of a_b & c", [])
    assert r"100 \% of a\_b \& c" in text
    assert text.count(r"\begin{tabular}") == 1


def test_csv_round_trip():
    table = tables.runs_table(pd.DataFrame(rows({0: [98.0], 1.0: [90.0]})), PUBLISHED)
    again = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    assert again["ours"].tolist() == table["ours"].tolist()
    assert again.columns.tolist() == tables.COLUMNS


# --------------------------------------------------------------- tables of other sources


def test_plan_table_at_paper_size_is_table_5():
    settings = config.load(tier="paper")
    plan = runs.plan(settings, "r")
    chosen = [plan.runs[r] for r in plan.experiments["figure1_runs"]]
    table = tables.plan_table(chosen, config.published()["table5"])
    compared = table.dropna(subset="published")
    assert len(compared) == 15
    assert (compared["ours"] == compared["published"]).all()
    clean = table[table["metric"] == "clean_examples"]["ours"]
    assert clean.max() / clean.min() == pytest.approx(1, abs=1e-4)


def paper_plan(protocol, *metrics):
    settings = config.load({"experiments": {"table3": {"protocol": protocol}}}, tier="paper")
    plan = runs.plan(settings, "r")
    chosen = [plan.runs[r] for r in plan.experiments["table3"]]
    table = tables.plan_table(chosen, config.published()["table6"])
    return [table[table["metric"] == metric] for metric in metrics]


def test_plan_table_at_paper_size_has_the_batches_of_table_6():
    multipliers, _, per_gpu = paper_plan("text", "multiplier", "epochs", "gpu_batch")
    assert (multipliers["ours"] == multipliers["published"]).all()
    assert (per_gpu["ours"] == per_gpu["published"]).all()


def test_epochs_of_table_6_are_those_of_the_released_protocol():
    """docs/AUDIT.md, 14: an epoch does not shrink when the batch grows, so printed epochs that are
    divided by k show the runs with larger batches less clean data than the clean run has."""
    for protocol in ("text", "released"):
        (epochs,) = paper_plan(protocol, "epochs")
        exposure = epochs["ours"] * (1 - epochs["error_rate"])
        assert (abs(exposure - 300) < 1).all() == (protocol == "text")
        same = abs(epochs["ours"] - epochs["published"]) < 0.5
        assert same.all() == (protocol == "released")
    released = epochs.set_index(["dataset", "noise_ratio"])["ours"]
    assert released["imagenet100", 1.0] == pytest.approx(150, abs=0.1)


def test_both_ways_to_table_8_stand_side_by_side():
    own = rows({0: [70.0], 1.0: [60.0]}, "imagenet1000", "imagenet1000", batch_multiplier=1)
    snapshots = rows({0: [70.0], 1.0: [50.0]}, "imagenet1000", "imagenet1000", protocol="released")
    table = tables.runs_table(pd.DataFrame(own + snapshots), config.published()["table8"])
    grid = texts(table)
    titles = list(dict.fromkeys(title for title, _ in grid.columns))
    assert titles == ["ImageNet-1000: accuracy (%)", "ImageNet-1000: accuracy (%), snapshot"]
    assert (grid.xs("paper, ImageNet-1000", axis=1, level=1).loc["100:100"] == "71.09").all()
    ours = grid.xs("ours, one training [95 % CI]", axis=1, level=1).loc["100:100"]
    assert [cell.split()[0] for cell in ours] == ["60.00", "50.00"]


@pytest.mark.parametrize("name", ["table7", "figure1_runs"])
def test_scores_out_of_domain_are_shown_where_there_are_any(name):
    published = config.published()[name]
    values = [
        row
        for metric, value in (("nll", 3.0), ("nll_rise", 0.5), ("train_nll", 5.0))
        for row in rows({0: [value], 1.0: [value + 1]}, "docstrings", "openwebtext", metric)
    ]
    without = tables.runs_table(pd.DataFrame(values), published)
    outside = [
        row
        for metric, value in (("out_of_domain_nll", 4.0), ("out_of_domain_nll_rise", 0.6))
        for row in rows({0: [value], 1.0: [value + 1]}, "english", "openwebtext", metric)
    ]
    table = tables.runs_table(pd.DataFrame(values + outside), published)
    of_outside = table["metric"].str.startswith("out_of_domain")
    pd.testing.assert_frame_equal(table[~of_outside].reset_index(drop=True), without)
    shown = table[of_outside]
    assert shown["panel"].unique().tolist() == [
        "out-of-domain NLL (%)",
        "rise of out-of-domain NLL (%)",
    ]
    assert shown["published"].isna().all()
    assert shown[["ours", "floor", "excess"]].notna().all().all()
    page = layouts.markdown(table, "Title", [])
    assert "out-of-domain NLL" in page
    assert "5.0000 [4.0000, 7.0000]" in page
    assert "out-of-domain" not in layouts.markdown(without, "Title", [])


def test_a_batch_ablation_has_a_row_per_multiplier_and_a_block_per_ratio():
    values = [
        row
        for k in (1, 2, 16)
        for row in rows({0: [90.0 - k], 1.0: [80.0 - k]}, batch_multiplier=k)
    ]
    table = tables.runs_table(pd.DataFrame(values), {})
    assert list(table["row"].unique()) == ["batch × 1", "batch × 2", "batch × 16"]
    assert list(table["panel"].unique()) == ["accuracy (%), r = 0", "accuracy (%), r = 1"]
    assert list(table[table["noise_ratio"] == 1.0]["ours"]) == [79, 78, 64]


def test_the_scale_table_has_a_row_per_data_set_and_counts_shared_runs_once():
    cells = []
    for name, classes, size in (("glyphs-10", 10, 400), ("glyphs-200x10", 200, 2000)):
        for budget in ("fixed_clean", "fixed_total"):
            changes = {"classes": classes, "train_size": size}
            clean = rows({0: [90.0]}, name, budget="none", **changes)
            noisy = rows({1.0: [60.0]}, name, budget=budget, **changes)
            drop = rows(
                {1.0: [33.0]}, name, metric="accuracy_relative_drop", budget=budget, **changes
            )
            for row in noisy + drop:
                row["run_id"] += budget
            cells += clean + noisy + drop
    table = tables.scale_table(pd.DataFrame(cells))
    assert list(table["row"].unique()) == ["10 classes × 40 images", "200 classes × 10 images"]
    assert len(table) == 2 * (1 + 2 + 2)
    assert (table[table["noise_ratio"] == 0]["n_seeds"] == 1).all()
    grid = texts(table[table["metric"] == "accuracy"])
    assert list(grid.index) == list(table["row"].unique())
    titles = list(dict.fromkeys(title for title, _ in grid.columns))
    assert titles == [
        "accuracy (%), clean",
        "accuracy (%), training × (1 + r)",
        "accuracy (%), fixed training length",
    ]


# ------------------------------------------------------------------ excesses and trainings

PAIRED = {"excess_low": -8.5, "excess_high": -7.5, "excess_interval": "t_items"}


def test_one_training_keeps_the_paired_interval_of_its_excess():
    cell = tables.runs_table(pd.DataFrame(rows({1.0: [90.0]}, **PAIRED)), PUBLISHED).iloc[0]
    assert (cell["excess"], cell["excess_low"], cell["excess_high"]) == (-8, -8.5, -7.5)
    assert cell["excess_interval"] == "t_items"


def test_an_excess_over_trainings_is_paired_by_seed():
    values, floors = [90.0, 92.0, 97.0], [95.0, 96.0, 99.0]
    found = pd.DataFrame(rows({1.0: values}, **PAIRED)).assign(floor=floors)
    cell = tables.runs_table(found, PUBLISHED).iloc[0]
    differences = np.subtract(values, floors)
    low, high = stats.t.interval(0.95, 2, differences.mean(), stats.sem(differences))
    assert (cell["excess_low"], cell["excess_high"]) == pytest.approx((low, high))
    assert cell["excess_interval"] == "t_seeds"


def test_a_cell_of_one_training_says_so():
    table = tables.runs_table(pd.DataFrame(rows({0: [98.0], 1.0: [90.0, 92.0]})), PUBLISHED)
    grid = texts(table)
    ours = grid.xs("ours [95 % CI]", axis=1, level=1).squeeze()
    assert ours["100:0"] == "98.00 [97.00, 100.00] (one training)"
    assert "training" not in ours["100:100"]
    alone = tables.runs_table(pd.DataFrame(rows({0: [98.0], 1.0: [90.0]})), PUBLISHED)
    assert "ours, one training [95 % CI]" in texts(alone).columns.get_level_values(1)
    (first, *_) = notes.notes(alone, "quick", "a floor.")
    assert "Of one training, it leaves out how trainings differ" in first
    several = tables.runs_table(pd.DataFrame(rows({0: [98.0, 97.0]})), PUBLISHED)
    assert not any("one training" in note for note in notes.notes(several, "quick", "a floor."))


def test_notes_say_how_floors_depend_on_what_is_a_tie():
    cells = pd.DataFrame(rows({0.5: [90.0], 1.0: [40.0]}))
    low, high = [98.0, 42.0], [98.0, 49.8]
    table = tables.runs_table(cells.assign(floor_low=low, floor_high=high), PUBLISHED)
    (note,) = [n for n in notes.notes(table, "quick", "a floor.") if "ties" in n]
    assert note.endswith("as wide: digits 100:100: 42.00 to 49.80.")


def test_noise_ratios_of_the_paper_that_were_not_run_are_named():
    table = pd.DataFrame({"noise_ratio": [0, 0.3, 0.1], "ours": [1.0, 2.0, None], "reason": None})
    (line,) = notes.left_out(table, [0, 0.1, 0.3, 0.5, 1.0])
    assert "100:10, 100:50, 100:100." in line
    assert notes.left_out(table, [0, 0.3]) == notes.left_out(table, []) == []
    diverged = table.assign(reason=[None, None, "training diverged"])
    assert "100:50, 100:100." in notes.left_out(diverged, [0, 0.1, 0.3, 0.5, 1.0])[0]
    assert notes.left_out(table.assign(ours=None), [0.5]) == []  # nothing was run


def test_a_model_that_is_too_weak_is_marked_in_its_cells_and_in_the_notes():
    table = tables.runs_table(pd.DataFrame(rows({0: [98.0], 1.0: [90.0]})), PUBLISHED)
    marked = table.assign(competence="digits: worse than counting")
    assert texts(marked).iloc[1, 1] == "90.00 [89.00, 92.00] †"
    assert "† Model too weak: digits: worse than counting." in notes.notes(marked, "quick", "f.")
    assert r"$\dagger$" in layouts.latex(marked, "t", [])
    assert "†" not in layouts.markdown(table, "t", notes.notes(table, "quick", "f."))


def stability(seeds=1, spread=0.0):
    """Rows of measure_loss_stability, `spread` nats apart from seed to seed."""
    return pd.DataFrame(
        {
            "dataset": "docstrings",
            "stands_in_for": "openwebtext",
            "noise_ratio": ratio,
            "error_rate": ratio / 2,
            "seed": seed,
            "batch_size": size,
            "macro_batches": 200,
            "mean": 3.0 + spread * seed,
            "std": 0.01 * np.sqrt(480 / size) * (1 + spread * seed),
            "ci_low": 0.0,
            "ci_high": 1.0,
            "interval": "chi2_batches",
        }
        for seed in range(seeds)
        for ratio in (0.0, 1.0)
        for size in (1920, 480)
    )


def stability_table(measured):
    return analysis_tables.stability_table(measured, config.published()["table11"])


def test_stability_table_predicts_the_square_root():
    table = stability_table(stability())
    spread = table[table["metric"] == "std"]
    assert spread["ours"].tolist() == pytest.approx([10, 5, 10, 5])
    assert spread["excess"].tolist() == pytest.approx([0, 0, 0, 0])
    assert spread["published"].tolist() == [17.50, 8.85, 9.45, 4.58]
    assert set(spread["interval"]) == {"chi2_batches"}
    mean = table[table["metric"] == "mean"]
    assert (mean["ci_high"] - mean["ours"]).tolist() == pytest.approx(
        [1.96 * std / 1000 / np.sqrt(200) for std in spread["ours"]]
    )
    assert set(table["n_seeds"]) == {1}


def test_excess_of_a_spread_is_over_trainings_or_of_two_independent_spreads():
    measured = stability(3)
    measured.loc[measured["batch_size"] == 1920, "std"] *= [1.0, 1.0, 1.2, 1.2, 1.4, 1.4]
    spread = stability_table(measured).query("metric == 'std' and row == '1920 sequences'").iloc[0]
    low, high = stats.t.interval(0.95, 2, 1.0, stats.sem([0, 1, 2]))
    assert (spread["excess_low"], spread["excess_high"]) == pytest.approx((low, high))
    one = stability().assign(ci_low=lambda f: 0.9 * f["std"], ci_high=lambda f: 1.2 * f["std"])
    spread = stability_table(one).query("metric == 'std'").set_index("row")
    found = spread.loc["1920 sequences"].iloc[0]
    assert found["excess_low"] == pytest.approx(-np.hypot(0.5, 1.0))
    assert found["excess_high"] == pytest.approx(np.hypot(1.0, 0.5))
    assert spread.loc["480 sequences", "excess_low"].isna().all()


def test_stability_table_averages_over_seeds():
    one, same, spread = (stability_table(stability(*case)) for case in ((1,), (2,), (3, 0.5)))
    for column in ("row", "panel", "metric", "ours", "floor", "published"):
        pd.testing.assert_series_equal(same[column], one[column])
    assert set(same["n_seeds"]) == {2}
    assert set(spread["n_seeds"]) == {3}
    assert set(spread["interval"]) == {"t_seeds"}
    mean = spread[spread["metric"] == "mean"].iloc[0]
    assert mean["ours"] == pytest.approx(3.5)
    half = 4.302653 * 0.5 / np.sqrt(3)  # Student's t with 2 degrees of freedom
    assert (mean["ci_low"], mean["ci_high"]) == pytest.approx((3.5 - half, 3.5 + half))
    std = spread[spread["metric"] == "std"].iloc[0]
    assert std["ours"] == pytest.approx(15)
    assert std["ci_high"] - 15 == pytest.approx(4.302653 * 5 / np.sqrt(3))


def gradients(cosine=0.1, norm=2.0, **changes):
    """One row of measure_gradients."""
    row = {"dataset": "d", "stands_in_for": "openwebtext", "protocol": "tokens", "batches": 3}
    row |= {"error_rate": 0.5, "batch_size": 8}
    for pair in ("clean_clean", "corrupt_corrupt", "clean_corrupt"):
        values = {"mean": cosine, "min": cosine - 0.1, "max": cosine + 0.2}
        row |= {f"cosine_{pair}_{what}": value for what, value in values.items()}
    for kind in ("clean", "corrupt"):
        row |= {f"norm_{kind}": norm, f"norm_{kind}_se": 0.1}
    return row | {"snr": 2.0} | changes


def gradient_table(*measured):
    return analysis_tables.gradient_table(pd.DataFrame(measured), config.published()["table4"])


def test_gradient_table_puts_the_papers_numbers_at_their_case():
    table = gradient_table(gradients(), gradients(batch_size=4))
    by_metric = table.iloc[:6].set_index("metric")
    assert by_metric["published"][["norm_clean", "snr"]].tolist() == [7.88, 3.83]
    assert by_metric["ci_high"]["norm_clean"] == pytest.approx(2.0 + 0.196)
    assert by_metric["ci_high"][["cosine_clean_clean"]].tolist() == pytest.approx([0.3])
    assert np.isnan(by_metric["ci_high"]["snr"])
    assert set(table["n_seeds"]) == {1}
    assert "token noise, 50 %, batch 8" in layouts.data(table, "t", [])


def test_gradient_table_prints_the_ranges_of_the_paper():
    grid = texts(gradient_table(gradients(), gradients(batch_size=16)))
    heads = [kind for _, kind in grid.columns]
    ours = "ours [min, max; norms: 95 % CI]"
    assert heads == ["paper, OpenWebText", "paper (min, max)", ours, ours]
    ranges = grid.xs("paper (min, max)", axis=1, level=1).squeeze()
    assert ranges["cosine, clean–corrupt"] == "(-0.03, +0.05)"
    assert (ranges[["norm of clean sum", "signal-to-noise ratio"]] == "").all()


def test_batches_with_nothing_to_sum_as_left_out_and_as_zero():
    """Norms of batches one by one; two of ten have no corrupt sequence."""
    clean, corrupt = np.linspace(3, 4, 10), np.linspace(1, 2, 8)
    means = {"norm_clean": clean.mean(), "norm_corrupt": corrupt.mean()}
    means |= {"snr": clean.mean() / corrupt.mean(), "batches": 10}
    row = gradients(batches_without_clean=0, batches_without_corrupt=2, **means)
    table = gradient_table(row | {"protocol": "sequences"}).set_index("metric")
    zeros = np.concatenate([corrupt, [0, 0]])
    expected = [clean.mean(), zeros.mean(), clean.mean() / zeros.mean()]
    assert list(table["with_empty"].dropna()) == pytest.approx(expected)
    assert table.loc["snr", "ours"] == pytest.approx(clean.mean() / corrupt.mean())
    heads = [kind for _, kind in texts(table.reset_index()).columns]
    assert heads[-1] == "ours, empty batches as 0"


def test_gradient_table_averages_over_seeds():
    one = gradient_table(gradients())
    same = gradient_table(gradients(), gradients())
    for column in ("row", "panel", "metric", "ours", "published"):
        pd.testing.assert_series_equal(same[column], one[column])
    assert set(same["n_seeds"]) == {2}

    table = gradient_table(gradients(), gradients(cosine=0.5, norm=3.0)).set_index("metric")
    cosine, norm = table.loc["cosine_clean_clean"], table.loc["norm_clean"]
    assert cosine[["ours", "ci_low", "ci_high"]].tolist() == pytest.approx([0.3, 0.0, 0.7])
    assert cosine["interval"] == "range"
    half = 12.706205 * 0.5  # Student's t with 1 degree of freedom, standard error 1/2
    assert norm[["ours", "ci_low", "ci_high"]].tolist() == pytest.approx(
        [2.5, 2.5 - half, 2.5 + half]
    )
    assert norm["interval"] == "t_seeds"


def test_a_pair_that_one_seed_lacks_is_not_counted_for_it():
    lacking = gradients(norm_corrupt=None, snr=None, norm_corrupt_se=None)
    lacking |= {f"cosine_clean_corrupt_{what}": None for what in ("mean", "min", "max")}
    table = gradient_table(gradients(norm=3.0), lacking).set_index("metric")
    for metric in ("cosine_clean_corrupt", "norm_corrupt", "snr"):
        assert table.loc[metric, "n_seeds"] == 1
        assert table.loc[metric, "reason"] is None
    assert table.loc["norm_corrupt", "ours"] == 3.0
    assert table.loc["norm_corrupt", "interval"] == "t_batches"
    absent = gradient_table(lacking).set_index("metric").loc["norm_corrupt"]
    assert absent["reason"] == "no such pair in any batch"


def test_source_lengths_stand_beside_the_printed_ones():
    row = {"dataset": "code2doc", "stands_in_for": "cnn_dailymail", "sources": 9}
    row |= {"source_q50": 80.0, "source_q95": 200.0, "source_q99": 300.5, "source_q99.9": 400.0}
    row |= {"source_limit": 64, "source_clipped": 62.5}
    published = config.published()["source_lengths"]
    table = tables.lengths_table(pd.DataFrame([row]), published)
    grid = texts(table)
    (paper, ours) = grid.columns
    assert list(grid[paper]) == ["", "1,711", "2,102", "2,343", "2,048", ""]
    assert list(grid[ours]) == ["80", "200", "300", "400", "64", "62.5"]
    assert grid.index[-1] == "longer sources, which are clipped (%)"


def test_rows_that_only_one_data_set_has_are_blank_for_the_other():
    decoded = []
    for dataset, score in (("a", "bleu"), ("b", "rouge_l")):
        run = {"dataset": dataset, "stands_in_for": None, "protocol": "text"}
        lengths = dict.fromkeys(("mean", "q5", "q25", "q50", "q75", "q95", "q100"), 7.0)
        content = {"run": run, "pairs": 9, "ended": 1.0, "empty": 0.0, "identical": 0.0}
        values = {"metric": score, "pairs": 9, "value": 3.0, "ci_low": 2.0, "ci_high": 4.0}
        content |= {"lengths": lengths, "clean_lengths": lengths}
        decoded.append(content | {"score": values | {"interval": "t_items"}})
    table = tables.teacher_table(decoded)
    grid = texts(table)
    (a, b) = grid.columns
    assert grid.loc["BLEU"].tolist() == ["3.00 [2.00, 4.00]", ""]
    assert (grid.loc["ROUGE-L", a], grid.loc["ROUGE-L", b]) == ("", "3.00 [2.00, 4.00]")
    assert list(grid.index) == list(dict.fromkeys(table["row"]))
    for render in layouts.FORMATS.values():
        assert "nan" not in render(table, "title", [])


def test_rows_of_noise_ratios_stand_in_their_order_even_where_a_block_lacks_some():
    few = rows({0: [98.0], 1.0: [90.0]}, "a")
    all_ = rows({ratio: [90.0] for ratio in (0, 0.1, 0.5, 1.0)}, "b")
    table = tables.runs_table(pd.DataFrame(few), PUBLISHED)
    table = pd.concat([table, tables.runs_table(pd.DataFrame(all_), PUBLISHED)])
    grid = texts(table)
    assert list(grid.index) == ["100:0", "100:10", "100:50", "100:100"]
    assert grid.index.name == "Correct:Incorrect"
    (first,) = [c for c in grid.columns if c[0].startswith("a") and c[1].startswith("ours")]
    assert [bool(text) for text in grid[first]] == [True, False, False, True]
    printed = spectrum.published_floors_table(config.published())
    for grid in layouts.grids(printed):
        ratios = [int(row.removeprefix("100:")) for row in grid.index]
        assert ratios == sorted(ratios)


METRICS = ["nll", "nll_rise", "sequence_nll"]


def test_many_blocks_are_printed_one_metric_below_the_other():
    parts = [rows({0: [1.0], 1.0: [0.5]}, dataset=d, metric=m) for m in METRICS for d in ("a", "b")]
    table = tables.runs_table(
        pd.DataFrame([row for part in parts for row in part]), {"metrics": dict.fromkeys(METRICS)}
    )
    grids = layouts.grids(table)
    assert len(grids) == len(METRICS)
    for grid, metric in zip(grids, METRICS, strict=True):
        assert list(grid.index) == ["100:0", "100:100"]
        heads = {what for what, _ in grid.columns}
        assert heads == {f"{d}: {layouts.NAMES[metric]} (%)" for d in ("a", "b")}
    assert len(json.loads(layouts.data(table, "t", []))["grids"]) == len(METRICS)
    assert layouts.markdown(table, "t", []).count("100:100") == len(METRICS)
    assert layouts.latex(table, "t", []).count(r"\begin{table}") == len(METRICS)


def test_a_table_of_text_may_have_nothing_in_it():
    """A study whose paper's code was not published has no row in the audit."""
    found = layouts.records(pd.DataFrame())
    assert (found["rows"], found["blocks"][0]["columns"]) == ([], [])
