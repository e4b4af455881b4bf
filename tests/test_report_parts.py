"""Parts of the report: what its first screen, tables, runs, figures and settings say."""

import json

import pandas as pd
import pytest

from noiselab.answers.claims import combined
from noiselab.answers.layouts import true_minus
from noiselab.answers.report import figures, first, runs, tables, words
from noiselab.answers.report.settings import settings
from noiselab.errors import NoiselabError
from report_files import RUN, figure_files, run_files, spectrum_files, table_data

# -------------------------------------------------------------------------------- first screen


def spectrum(folder, *rows):
    paths = spectrum_files(folder, list(rows))
    return first.spectrum(paths[0])


def test_bars_have_floor_and_excess_of_the_loss_in_all(tmp_path):
    found = spectrum(tmp_path, ("diffusion", "digits", 70.0, 49.0, ""))
    (bar,) = found["bars"]
    assert (bar["total_text"], bar["floor_text"], bar["above_text"]) == (
        "70.0 %",
        "49.0 %",
        "21.0 %",
    )
    assert bar["interval_text"] == "[20.0, 22.0]"
    assert bar["floor_at"] / bar["above_at"] == pytest.approx(49 / 21, rel=1e-3)
    assert bar["start_at"] == bar["floor_at"]
    assert bar["low_at"] < bar["floor_at"] + bar["above_at"] < bar["low_at"] + bar["span_at"] < 100
    assert [tick["text"] for tick in found["ticks"]][:2] == ["0", "20"]


def test_a_gain_is_no_bar_to_the_left(tmp_path):
    (bar, _) = spectrum(
        tmp_path, ("classifier", "a", -3.0, 0.0, ""), ("diffusion", "a", 50.0, 60.0, "")
    )["bars"]
    assert bar["above_text"] == "−3.0 %"
    places = [value for key, value in bar.items() if key.endswith("_at")]
    assert min(places) == 0
    assert bar["cut"]  # the page says that it goes on


def test_nothing_is_marked_as_cut_that_is_not(tmp_path):
    (bar,) = spectrum(tmp_path, ("classifier", "a", 3.0, 0.0, ""))["bars"]
    assert not bar["cut"]


def test_a_bar_is_of_the_block_with_most_trainings_and_the_others_are_marks(tmp_path):
    rows = [("classifier", "a", 5.0, 0.0, ""), ("classifier", "b", 9.0, 0.0, "")]
    path = spectrum_files(tmp_path, [*rows, ("classifier", "c", 90.0, 0.0, "untrained")])[0]
    found = first.spectrum(path)
    (bar,) = found["bars"]
    assert (bar["dataset"], len(bar["marks"]), bar["weak"]) == ("b", 2, False)
    assert "90.0" not in found["answer"]
    table = pd.read_csv(path)
    table.loc[table["dataset"] == "a", "n_seeds"] = 5
    table.to_csv(path, index=False)
    (bar,) = first.spectrum(path)["bars"]
    assert (bar["dataset"], bar["trainings"]) == ("a", "5 trainings")


def test_the_answer_says_least_most_and_what_was_unavoidable(tmp_path):
    rows = [("classifier", "digits", 2.0, 0.0, ""), ("diffusion", "digits", 70.0, 49.0, "")]
    answer = spectrum(tmp_path, *rows, ("seq2seq", "name2doc", 14.0, 0.0, ""))["answer"]
    assert answer == words.tidy(
        "When half of the training targets are wrong, models lose 2.0 % (classifiers on digits) to "
        "70.0 % (diffusion models on digits) of the clean score; unavoidable was 70 % of that loss "
        "for diffusion models and nothing for classifiers and sequence-to-sequence models."
    )


def test_models_too_weak_answer_nothing(tmp_path):
    weak = ("diffusion", "digits", 1.0, 0.0, "it has not learned")
    found = spectrum(tmp_path, ("classifier", "digits", 2.0, 1.0, ""), weak)
    assert "diffusion" not in found["answer"]
    assert [bar["weak"] for bar in found["bars"]] == [False, True]
    assert "too weak to tell" in spectrum(tmp_path, weak)["answer"]


def test_where_no_floor_is_known_the_answer_does_not_make_one_up(tmp_path):
    found = spectrum(tmp_path, ("classifier", "digits", 2.0, None, ""))
    assert found["answer"].endswith("how much of it was unavoidable is not known.")
    assert found["bars"][0]["floor_text"] == ""


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("a", 0.5), ("a", 1.0), ("b", 0.5), ("b", 1.0)], 1.0),
        ([("a", 0.5), ("a", 2.0), ("b", 0.5)], 0.5),
        ([("a", 0.0), ("b", 0.3)], 0.3),
    ],
)
def test_families_are_compared_at_the_largest_ratio_that_they_share(rows, expected):
    table = pd.DataFrame(rows, columns=["family", "noise_ratio"])
    assert set(first.common(table)["noise_ratio"]) == {expected}


def test_without_noise_there_is_no_spectrum(tmp_path):
    path = spectrum_files(tmp_path)[0]
    table = pd.read_csv(path).assign(noise_ratio=0.0)
    table.to_csv(path, index=False)
    assert first.spectrum(path) is None
    assert first.spectrum(None) is None


def shown_table(*marked: str) -> dict:
    """A table of the page with two rows and two blocks. marked: rows of models too weak."""
    data = table_data()
    (grid,) = data["grids"]
    grid["rows"] = ["given", "100:100"]
    for column in (column for block in grid["blocks"] for column in block["columns"]):
        mark = {row: "†" if column["kind"] == "ours" else "" for row in marked}
        (cell,) = column["cells"]
        column["cells"] = [cell | {"mark": mark.get(row, "")} for row in grid["rows"]]
    return {"id": "mine", "kind": "table"} | tables.view(data, "mine", [RUN], {})


def study_of(table: dict) -> dict:
    answer = [{"asks": "So?", "table": "mine", "row": "100:100"}]
    return {"artefacts": ["mine"], "families": [{"entries": [table]}], "answer": answer}


def test_models_too_weak_have_no_number_on_the_first_screen():
    gated, learned = shown_table("100:100"), shown_table("given")
    told = first.without_spectrum([study_of(gated)], False, 2, own=True)
    assert told.startswith(
        "Your own models at 100:100, digits: accuracy (%), are too weak to tell: what they lose "
        "says nothing about noise."
    )
    assert "+5.00" not in told
    assert "+5.00 [−1.00, +7.00]" in first.without_spectrum([study_of(learned)], False, 2, own=True)
    for study in (study_of(gated), study_of(gated) | {"answer": []}):
        (line,) = first.highlights([study], spectrum=False)
        assert line["text"] == "digits: accuracy (%), 100:100: † model too weak to tell"
    (line,) = first.highlights([study_of(learned)], spectrum=False)
    assert "loss above the floor +5.00 [−1.00, +7.00]" in line["text"]


def test_of_blocks_that_share_a_panel_only_those_too_weak_are_without_numbers():
    ours = {"kind": "ours", "interval": "[1, 3]", "note": "", "mark": "", "href": None}
    cells = [ours | {"column": "a", "text": "2.00"}, ours | {"column": "b", "text": "7.00"}]
    cells[1]["mark"] = "†"
    panel = {"title": "ours", "rows": [{"label": "100:100", "cells": cells}]}
    table = {"id": "mine", "kind": "table", "title": "Mine", "panels": [panel]}
    (line,) = first.highlights([study_of(table)], spectrum=False)
    assert line["text"] == "100:100: a 2.00 [1, 3], b † model too weak to tell"


def test_the_question_is_that_of_the_only_study_or_that_of_all():
    one, other = ({"question": text} for text in ("One?", "Other?"))
    assert first.question([one]) == "One?"
    assert first.question([one, other]) == first.question([]) == first.QUESTION


# -------------------------------------------------------------------------------------- tables


def test_what_noise_did_comes_first_and_numbers_lead_to_their_runs():
    finished = {RUN: {}, "b": {}}
    view = tables.view(table_data(runs=[RUN, "b"]), "t", [RUN], finished)
    panel, other = view["panels"]
    assert [column["kind"] for column in panel["columns"]] == ["loss", "floor", "ours", "paper"]
    assert [column["hint"] for column in panel["columns"]] == ["95 % CI", "", "95 % CI", ""]
    (row,) = panel["rows"]
    loss, floor, ours, paper = row["cells"]
    assert loss["interval"] == "[−1.00, +7.00]"
    assert floor["href"] == ours["href"] == "#t-runs-1"
    assert [("again" in cell) for cell in (floor, ours)] == [False, True]
    assert paper["href"] is loss["href"] is None
    (source,) = view["sources"]  # both blocks rest on the same runs
    assert source["id"] == "t-runs-1"
    assert [run["href"] for run in source["runs"]] == [f"#{runs.anchor(run)}" for run in finished]
    assert other["rows"][0]["cells"][1]["href"] == "#t-runs-1"


def test_a_number_of_one_run_leads_straight_to_it_and_of_none_nowhere():
    (panel, _) = tables.view(table_data(), "t", [], {RUN: {}})["panels"]
    assert panel["rows"][0]["cells"][1]["href"] == f"#{runs.anchor(RUN)}"
    view = tables.view(table_data(), "t", [], {})
    assert view["panels"][0]["rows"][0]["cells"][1]["href"] is None
    assert view["sources"] == []


def test_a_table_whose_cells_name_no_runs_has_a_list_of_all():
    (source,) = tables.view(table_data(runs=()), "t", [RUN], {RUN: {}})["sources"]
    assert [run["name"] for run in source["runs"]] == [RUN]


def test_blocks_of_one_column_share_a_panel_and_empty_rows_are_left_out():
    data = table_data()
    for block in data["grids"][0]["blocks"]:
        block["columns"] = block["columns"][1:2]
        empty = {"text": "", "interval": None, "note": "", "mark": "", "runs": []}
        block["columns"][0]["cells"].append(empty)
    data["grids"][0]["rows"].append("nothing")
    (panel,) = tables.view(data, "t", [], {})["panels"]
    heads = [column["title"] for column in panel["columns"]]
    assert heads == ["digits: accuracy (%)", "glyphs-100: accuracy (%)"]
    assert [row["label"] for row in panel["rows"]] == ["100:100"]


def test_minus_signs_are_true_only_before_numbers():
    assert true_minus("-1.0 [-2, -3] glyphs-100, s-0") == "−1.0 [−2, −3] glyphs-100, s-0"
    assert words.tidy("-5 % at r = 1") == "−5\u00a0% at r\u00a0=\u00a01"


# ---------------------------------------------------------------------------------------- runs


def test_an_entry_of_a_run_has_what_it_takes_to_check_it(tmp_path):
    run_files(tmp_path, changes={"parents": {"clean": "other", "judge": RUN}})
    structure = {"runs": [RUN, "never"], "results": str(tmp_path)}
    found = runs.read(structure)
    assert list(found) == [RUN]
    ((entry,),) = [group["runs"] for group in runs.entries(found, str(tmp_path / "logs"))]
    assert dict(entry["facts"])["trained in"] == "1.5 minutes on a CPU"
    assert dict(entry["facts"])["code revision"] == "abc123"
    assert json.loads(entry["json"])["run_id"] == RUN
    assert entry["log"] == "100 %\nthe last line"
    assert entry["parents"] == [{"role": "clean", "name": "other", "href": None}]
    (score,) = entry["scores"]
    measured, floor, above = score["cells"]
    assert (measured["text"], measured["interval"]) == ("90.00", "[88.00, 92.00]")
    assert (floor["text"], above["text"], above["interval"]) == ("95.00", "5.00", "[3.00, 7.00]")
    (curve,) = entry["curves"]  # one accuracy is no course
    assert curve["alt"].startswith("Training loss from 2.4 to 0.5, between 0.5 and 2.4")


def test_a_curve_goes_through_means_of_neighbours_inside_its_box(tmp_path):
    rows = [{"step": step, "loss": float(step % 2)} for step in range(1200)]
    rows += [{"step": 1200, "loss": float("nan")}]
    path = tmp_path / "history.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    (curve,) = runs.curves(path)
    points = [tuple(map(float, point.split(","))) for point in curve["points"].split()]
    assert len(points) == runs.POINTS
    assert all(0 <= x <= runs.WIDTH and 0 <= y <= runs.HEIGHT for x, y in points)
    assert len({y for _, y in points}) == 1  # each is the mean of as many zeros as ones
    assert curve["last"] == "0.5"
    assert runs.curves(tmp_path / "none.jsonl") == []
    path.write_text('{"step": 1, "lo')
    with pytest.raises(NoiselabError, match="line 1: broken"):
        runs.curves(path)


def test_a_score_that_is_missing_says_why():
    (score,) = runs.scores({"nll": {"value": None, "reason": "training diverged", "unit": ""}})
    assert [cell["text"] for cell in score["cells"]] == ["—", "", ""]
    assert score["cells"][0]["note"] == "training diverged"


def test_anchors_of_runs_are_different():
    names = ["a/b/c-s0", "a/b-c/s0", "a/b/c_s0", "a/b/c-s0-x1"]
    assert len({runs.anchor(name) for name in names}) == len(names)


# ------------------------------------------------------------------------------------- figures


def test_what_is_no_svg_is_refused(tmp_path):
    path = tmp_path / "figure.svg"
    path.write_text("<p>hello")
    with pytest.raises(NoiselabError, match=r"figure.svg: no svg; remove it"):
        figures.drawing(path)


def test_a_figure_without_points_to_ask_about_has_no_specification(tmp_path):
    for spec in (None, {"mark": "bar"}):
        found = figures.figure({"name": "f", "paths": figure_files(tmp_path, "f", spec)})
        assert [drawn["size"] for drawn in found["drawings"]] == ["wide", "narrow"]
        assert found["alt"] == "Accuracy falls from 95 to 90 %."
        assert (found["spec"] is None) == (spec is None)


def test_specifications_cannot_end_their_element():
    text = figures.embedded({"title": "</script><b>"})
    assert "<" not in text
    assert json.loads(text) == {"title": "</script><b>"}


# ------------------------------------------------------------------------------------ settings


def test_several_data_sets_with_several_verdicts_are_mixed():
    assert combined(["holds", "holds"]) == "holds"
    assert combined(["holds", "does not hold"]) == "mixed"
    assert combined([]) == "not tested"


def test_settings_name_common_values_once_and_differing_ones_per_data_set():
    training = {"steps": 10, "batch_size": 20, "optimizer": {"name": "sgd", "learning_rate": 0.1}}
    training |= {"schedule": "cosine", "final_learning_rate": 0.0, "warmup_steps": 0}
    training |= {"clip_norm": None, "ema_decay": None, "precision": "bf16"}
    run = {"family": "classifier", "dataset": "a", "stands_in_for": "cifar10", "seed": 0}
    run |= {"model": {"name": "resnet", "width": 8, "blocks": [1, 1]}, "noise_ratio": 0.0}
    run |= {"corruption": "none", "resample": "none", "budget": "none", "protocol": "text"}
    run |= {"training": training}
    noisy = {"corruption": "uniform_label", "resample": "fresh", "budget": "fixed_clean"}
    other = (
        run | noisy | {"dataset": "b", "noise_ratio": 1.0} | {"training": training | {"steps": 30}}
    )
    rows = dict(settings([{"run": run}, {"run": other}], {"a": {"train_size": 100}}))
    assert rows["data"] == "a (in place of CIFAR-10); b (in place of CIFAR-10)"
    assert rows["model"] == "resnet, width 8, blocks 1/1"
    assert rows["steps"] == "a: 10; b: 30"
    assert rows["noise ratio r"] == "a: 0; b: 1"
    assert rows["epochs"] == "2"
    assert rows["corruption"] == "uniform label"
    assert rows["optimiser"] == "sgd, learning rate 0.1"
    assert "clipped at" not in rows
    assert rows["wrong targets"] == "drawn anew at each visit"
