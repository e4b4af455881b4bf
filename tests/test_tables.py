"""Tables: cells from runs, published numbers beside them, layouts in four formats."""

import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from noiselab.answers import layouts, notes, spectrum, tables
from noiselab.planning import config
from table_samples import rows, texts

PUBLISHED = config.published()["table2"]


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
    assert latex_mistakes(text) == []


ODD = r"50 % {a}_b & c#1 \d $x^2$ ~e"  # a class could be called so


def latex_mistakes(text: str) -> list[str]:
    """Characters that LaTeX would take for commands, in what is no command of a table."""
    lines = [line for line in text.splitlines() if not line.startswith(r"\begin")]
    plain = re.sub(r"\\[%_&#{}$]|\$\\(dagger|to|\|)\$|\\text\w+\{\}", "", "\n".join(lines))
    plain = re.sub(r"\\(caption|multicolumn\{\d+\}\{\w\}|cmidrule\(\w+\)|end)\{", "{", plain)
    plain = re.sub(r"\\(toprule|midrule|bottomrule|centering|\\)", "", plain)
    return re.findall(r"[\\%_#$^~]", plain)


def test_latex_of_any_name_of_a_class_or_row():
    table = tables.runs_table(pd.DataFrame(rows({0: [98.0]})), PUBLISHED)
    table["row"], table["panel"] = f"given, {ODD}", ODD
    text = layouts.latex(table, "t", [f"Error rates by class: {ODD}: 10 %."])
    assert latex_mistakes(text) == []
    escaped = r"50 \% \{a\}\_b \& c\#1 \textbackslash{}d \$x\textasciicircum{}2\$ "
    escaped += r"\textasciitilde{}e"
    assert text.count(escaped) == 3  # caption, head, row
    assert f"\ngiven, {escaped} & " in text


def test_markdown_of_any_name_of_a_class_or_row():
    """No class name begins another column or an element of HTML."""
    table = tables.runs_table(pd.DataFrame(rows({0: [98.0]})), PUBLISHED)
    plain = layouts.markdown(table, "t", ["p < 0.05."])
    table["row"] = "a|b <script>"
    text = layouts.markdown(table, "<i>", ["Error rates by class: a|b <script>: 10 %, p < 0.05."])
    columns = [len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines()]
    assert set(columns) == {0, len(re.findall(r"\|", plain.splitlines()[2]))}
    assert not re.findall(r"(?<!\\)<(?!br>)\w", text)
    assert "p < 0.05." in text


def test_csv_round_trip():
    table = tables.runs_table(pd.DataFrame(rows({0: [98.0], 1.0: [90.0]})), PUBLISHED)
    again = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    assert again["ours"].tolist() == table["ours"].tolist()
    assert again.columns.tolist() == tables.COLUMNS


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
