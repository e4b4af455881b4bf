"""Marked places and blocks of pages: what fills them, and how results get into docs/results."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt

import make_results
from claim_rows import PUBLISHED, row
from noiselab.answers import (
    claims,
    collected,
    competence,
    documents,
    provenance,
    tables,
    tiers,
    verdicts,
)
from noiselab.answers.audit import COLUMNS
from noiselab.answers.claims import Measured
from noiselab.answers.documents import answer, filled
from noiselab.errors import NoiselabError
from noiselab.files import write_text
from noiselab.planning import config, project

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"

# ----------------------------------------------------------------------------- filling

RANGE = "0.0191 [−0.0200, 0.2100; smallest and largest]"
TABLE = """\
dataset,row,noise_ratio,metric,unit,ours,ci_low,ci_high,interval,n_seeds,floor,excess,excess_low,excess_high,reason
digits,100:0,0.0,accuracy,%,99.2,97.961,99.688,wilson_items,1,99.2,-0.0001,,,
digits,100:100,1.0,accuracy,%,1234.5,-1,3,t_seeds,3,2,-0.75,-1.5,0.25,
glyphs-10,100:100,1.0,accuracy,%,,,,,1,,,,,it diverged
glyphs-10,100:0,0.0,mean,nats,0.019137,-0.02,0.21,range,1,,,,,
"""


@pytest.fixture
def results(tmp_path):
    (tmp_path / "quick").mkdir()
    (tmp_path / "quick" / "table2.csv").write_text(TABLE)
    (tmp_path / "by_hand.csv").write_text("name,value,unit\na b,0.25,MB\nc,12345.678,\n")
    return tmp_path


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("quick/table2 dataset=digits noise_ratio=0", "99.20"),
        ("quick/table2 dataset=digits noise_ratio=0 decimals=0 with=unit", "99 %"),
        (
            "quick/table2 dataset=digits noise_ratio=0 with=interval",
            "99.20 [97.96, 99.69; one training]",
        ),
        (
            "quick/table2 noise_ratio=1 dataset=digits with=unit,interval",
            "1,234.50 % [−1.00, 3.00; 3 seeds]",
        ),
        (
            "quick/table2 row=100:100 dataset=digits show=excess with=interval,unit sign=+",
            "−0.75 points [−1.50, +0.25; 3 seeds]",
        ),
        ("quick/table2 row=100:0 dataset=digits show=excess", "0.00"),
        ("quick/table2 row=100:0 dataset=digits show=floor with=interval", "99.20 (no interval)"),
        (
            "quick/table2 metric=mean with=interval",
            "0.0191 [−0.0200, 0.2100; smallest and largest]",
        ),
        ("quick/table2 dataset=glyphs-10 ours= show=reason", "it diverged"),
        ("by_hand name='a b' with=unit", "0.2500 MB"),
        ("by_hand name=c\n  decimals=1", "12,345.7"),
    ],
)
def test_a_query_is_answered(results, query, text):
    assert answer(query, results) == text
    page = f"It is\nso: <!-- = {query} -->old<!-- / -->."
    once = filled(page, "page.md", results)
    assert once == page.replace("old", text)
    assert filled(once, "page.md", results) == once


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("= quick/tabel2 row=100:0", "no quick/tabel2.csv (did you mean quick/table2?)"),
        ("= ../secret a=b", "no ../secret.csv"),
        ("= quick/table2 dateset=digits", "no column dateset (did you mean dataset?)"),
        ("= quick/table2 dataset=digit", "no row with dataset=digit"),
        ("= quick/table2 noise_ratio=one", "no row with noise_ratio=one"),
        ("= quick/table2 dataset=digits", "2 rows with dataset=digits; say one of row,"),
        ("= quick/table2 dataset=digits row=100:0 show=exces", "did you mean excess?"),
        ("= quick/table2 dataset=glyphs-10 row=100:100", "ours is empty (it diverged)"),
        ("= quick/table2 dataset=digits row=100:0 with=units", "did you mean unit?"),
        ("= quick/table2 dataset=digits row=100:0 decimals=x", "decimals a number"),
        ("= quick/table2 digits", "digits is no column=value"),
        ("= quick/table2 row='100:0", "not read"),
        ("= quick/table2 a=b|c", "| would end a cell"),
    ],
)
def test_what_cannot_be_answered_is_one_line(results, place, told):
    with pytest.raises(NoiselabError) as error:
        filled(f"So: <!-- {place} -->1<!-- / -->", "docs/PAGE.md", results)
    message = str(error.value)
    assert message.startswith(f"docs/PAGE.md: <!-- {place}")
    assert told in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("So: <!-- = by_hand name=c -->1", "no beginning or no end"),
        ("So: <!-- = by_hand name=c -->1 <!-- = by_hand name=c -->1<!-- / -->", "no end"),
        ("So: 1<!-- / -->", "no beginning"),
        ("<!-- begin run quick -->\n\na\n", "no end"),
        ("a\n<!-- end -->", "no beginning"),
        ("- <!-- = by_hand name=c -->1<!-- / --> is", "begins its line"),
        ("a\n<!-- = by_hand name=c -->1<!-- / --> is", "begins its line"),
        ("a <!-- begin run quick -->\n<!-- end -->", "must begin its line"),
        ("<!-- begin runs quick -->\n<!-- end -->", "no block 'runs' (did you mean run?)"),
        ("<!-- begin run -->\n<!-- end -->", "names no folder"),
        ("<!-- begin run quick -->\n<!-- end -->", "no quick/provenance.csv"),
    ],
)
def test_places_that_are_none_are_one_line(results, text, told):
    with pytest.raises(NoiselabError, match=re.escape(told)):
        filled(text, "page.md", results)


def test_code_is_left_alone(results):
    text = "`<!-- = a -->`, ``<!-- ` end -->``\n\n```md\n<!-- begin b -->\n```\n"
    assert filled(text, "page.md", results) == text


def test_pages_are_filled_together_or_not_at_all(tmp_path, results):
    for folder in ("docs", "config"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "README.md").write_text("no number")
    shutil.copytree(results / "quick", tmp_path / "docs" / "results" / "quick")
    page = "so: <!-- = quick/table2 metric=mean decimals=2 -->?<!-- / -->"
    (tmp_path / "README.md").write_text(page)
    (tmp_path / "docs" / "Z.md").write_text("so: <!-- = nothing -->?<!-- / -->")
    with pytest.raises(NoiselabError, match=r"^docs/Z.md: "):
        documents.fill(tmp_path)
    assert (tmp_path / "README.md").read_text() == page
    (tmp_path / "docs" / "Z.md").unlink()
    assert documents.fill(tmp_path) == ["README.md"]
    assert (tmp_path / "README.md").read_text() == page.replace("?", "0.02")
    assert documents.fill(tmp_path) == []


# ----------------------------------------------------------------------------- blocks


def block(results, words):
    text = filled(f"<!-- begin {words} -->\n<!-- end -->", "page.md", results)
    assert filled(text, "page.md", results) == text
    return text.removeprefix(f"<!-- begin {words} -->\n\n").removesuffix("\n\n<!-- end -->")


def rows(markdown):
    """Cells of a table, as a reader sees them."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    cells = [t.content for t in tokens if t.type == "inline"]
    width = sum(t.type == "th_open" for t in tokens)
    assert width
    return [cells[i : i + width] for i in range(0, len(cells), width)]


def runs(**more):
    base = {"run_id": "a", "revision": "abc", "seed": 0, "seconds": 90.0, "device": "a CPU"}
    return base | {"dataset": "digits"} | more


def test_a_sentence_says_what_was_run(results):
    trainings = [runs(), runs(seed=2, dataset="glyphs-10"), runs(revision="def+changed", seed=10)]
    provenance.table(pd.DataFrame(trainings)).to_csv(
        results / "quick" / "provenance.csv", index=False
    )
    told = "Code revisions `abc`, `def+changed`: 3 scored trainings, 4 minutes in all"
    assert block(results, "run quick") == f"{told}, seeds 0, 2, 10, on a CPU."
    assert answer("quick/provenance revision=abc decimals=0", results) == "2"
    provenance.table(pd.DataFrame([runs()])).to_csv(
        results / "quick" / "provenance.csv", index=False
    )
    told = "Code revision `abc`: 1 scored training, 2 minutes in all, seed 0, on a CPU."
    assert block(results, "run quick") == told


def test_the_audit_is_a_table(results):
    measured = {"number": 1, "difference": "d", "dataset": "digits", "metric": "accuracy"}
    measured |= {"unit": "%", "noise_ratio": 1.0, "text": 99.2, "text_low": 98, "text_high": 100}
    measured |= {"released": 85.8, "released_low": 82, "released_high": 88, "n_seeds": 3}
    measured |= {"effect": -13.4, "effect_low": -16.8, "effect_high": -10.4}
    measured |= {"interval": "t_seeds", "says": "released is lower", "p_holm": 0.01}
    one = measured | {"number": 2, "n_seeds": 1, "interval": "wilson_items"}
    missing = {"number": 16, "difference": "e", "reason": "not run: audit_pairs"}
    table = pd.DataFrame([measured, one, missing]).reindex(columns=COLUMNS)
    table.to_csv(results / "quick" / "audit.csv", index=False)
    head, first, second, third = rows(block(results, "audit quick"))
    assert head[4:6] == ["effect [95 % CI]", "seeds"]
    numbers = ["99.20 [98.00, 100.00]", "85.80 [82.00, 88.00]", "−13.40 [−16.80, −10.40]"]
    assert first == ["1", "accuracy, %, digits", *numbers, "3", "released is lower"]
    assert second == ["2", *first[1:5], "one training", "released is lower"]
    assert third == ["16", "—", "", "", "", "", "not run: audit_pairs"]


def test_verdicts_are_a_table(results):
    scores = [row("table2", "digits", "accuracy", 98.0, ratio=0.0, of="cifar10", half=1)]
    scores += [row("table2", "digits", "accuracy", 90.0, of="cifar10", half=1)]
    lost = {"of": "cifar10", "half": 1, "floor": 0.5, "unit": "points"}
    scores += [row("table2", "digits", "accuracy_drop", 8.0, **lost)]
    decided = claims.decide(
        PUBLISHED, Measured("quick", {"table2": pd.DataFrame(scores)}, None, None)
    )
    verdicts.tidy(decided).to_csv(results / "quick" / "claims.csv", index=False)
    told = PUBLISHED["claims"]
    ran, not_run = "classifiers_decline", "language_model_resilient"
    assert {ran, not_run} <= set(told)
    _, first, second = rows(block(results, f"verdicts quick {ran} {not_run}"))
    assert first[0] == told[ran]["claim"]
    assert first[1:3] == ["9.950 points", "8.000 points [7.000, 9.000]: holds"]
    assert first[3] == "7.500 points [6.500, 8.500]: holds"
    assert "digits" in first[4]
    assert "one training" in first[4]
    assert second[0] == told[not_run]["claim"]
    assert second[2:] == ["not run", "", ""]
    text = block(results, "verdicts quick")
    table = pd.read_csv(results / "quick" / "claims.csv")
    found = table.groupby("claim")["where"].agg(lambda w: w.notna().any())
    lines = [line for line in rows(text)[1:] if len(line) > 1]
    assert {line[0] for line in lines} == {told[c]["claim"] for c in found[found].index}
    assert text.endswith(f"Further claims, not run here: {(~found).sum()}.")
    with pytest.raises(NoiselabError, match="no claim nothing"):
        block(results, "verdicts quick nothing")


def test_gates_are_a_table(results):
    text = [
        row("table7", "docstrings", m, v, ratio=0.0) for m, v in (("nll", 4), ("bigram_nll", 3))
    ]
    images = [row("table2", "digits", "accuracy", 98.0, ratio=0.0, half=1.0)]
    unmeasured = [row("table9", "name2doc", "nll", 3.0, ratio=0.0)]
    metrics = {"table7": text, "table2": images, "table9": unmeasured, "mine": images}
    metrics = {name: pd.DataFrame(found) for name, found in metrics.items()}
    table = competence.tried(metrics, PUBLISHED)
    table.to_csv(results / "quick" / "competence.csv", index=False)
    assert rows(block(results, "competence quick")) == [
        ["experiment", "dataset", "gate", "value", "needed", "passed"],
        ["table7", "docstrings", "bigram", "4.000", "below 3.000", "no"],
        ["table9", "name2doc", "shuffled_source", "", "at least 0.3000", "no"],
        ["table2", "digits", "chance", "97.00", "at least 20.00", "yes"],
    ]


def test_what_noise_costs_is_a_table(results):
    metrics = []
    for ratio, seed, accuracy in ((0.0, 0, 90), (0.0, 1, 92), (1.0, 0, 80), (1.0, 1, 84)):
        run_id = f"classifier/digits/{'noisy' if ratio else 'clean'}-s{seed}-x1f"
        lost = {0: 90, 1: 92}[seed] - accuracy
        shared = {"ratio": ratio, "seed": seed, "of": "cifar10", "half": 1}
        shared["corruption"] = "uniform_label" if ratio else "none"
        metrics += [
            row("table2", "digits", "accuracy", accuracy, unit="%", **shared) | {"run_id": run_id},
            row("table2", "digits", "accuracy_drop", lost, floor=1.5, unit="points", **shared)
            | {"run_id": run_id},
        ]
    table = tables.cells(pd.DataFrame(metrics))
    table.to_csv(results / "quick" / "cells.csv", index=False)
    assert set(table["run"]) == {"classifier/digits/clean-x1f", "classifier/digits/noisy-x1f"}
    asked = "losses quick classifier/digits/noisy-x1f classifier/digits/clean-x1f"
    head, noisy, clean = rows(block(results, asked))
    assert head[3:6] == ["lost", "floor of the loss", "lost above the floor [95 % CI]"]
    assert noisy[2:5] == ["82.00 %", "9.00 points", "1.50"]
    assert noisy[6] == "2"
    # 8.5 and 6.5: a mean of 7.5, and a t-interval of one degree of freedom.
    assert noisy[5] == f"7.50 [{7.5 - 12.706205:.2f}, {7.5 + 12.706205:.2f}]".replace("-", "−")
    assert clean[2:] == ["91.00 %", "", "", "", "2"]
    for other in ("classifier/letters", "classifier/digits/noisy"):  # no beginning of an id will do
        with pytest.raises(NoiselabError, match=f"quick: no run {other}"):
            block(results, f"losses quick {other}")


def test_costs_of_tiers_are_of_their_plans(tmp_path):
    """`make results` writes them anew. Networks are not counted here, which takes a while."""
    written = pd.read_csv(RESULTS / "tiers.csv").set_index("tier")
    assert list(written.index) == list(tiers.TIERS)
    (tmp_path / "cifar10n").mkdir()
    (tmp_path / tiers.LABELS).touch()
    for tier, told in written.iterrows():
        settings = config.load({"data": {"root": str(tmp_path)}}, tier=tier)
        graph = project.plan(settings, f"results/{tier}").graph
        needed = graph.closure(project.GOALS)
        trainings = [graph.plan.runs[j.split("/", 1)[1]] for j in needed if j.startswith("train/")]
        assert told["trainings"] == len(trainings)
        assert told["steps"] == sum(run.training["steps"] for run in trainings)


# ----------------------------------------------------------------------------- make results


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository with a page and results of another tier, as make_results sees it."""
    for folder in ("docs", "config"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "README.md").write_text("no number")
    place = "Of <!-- = smoke/provenance show=trainings decimals=0 -->?<!-- / --> trainings"
    (tmp_path / "README.md").write_text(place)
    provenance = "trainings,minutes,devices,datasets\n3,7.4,x,letters\n"
    provenance += '1,1.2,y,"digits, letters"\n'
    for folder, title in (("real", "Table 9: a, b"), ("smoke", "old")):
        write_text(tmp_path / f"docs/results/{folder}/README.md", f"## {title}\n")
        write_text(tmp_path / f"docs/results/{folder}/provenance.csv", provenance)
    monkeypatch.setattr(make_results, "ROOT", tmp_path)
    monkeypatch.setattr(make_results, "DOCS", tmp_path / "docs")
    return tmp_path


def test_results_are_written_and_then_the_pages(repository, monkeypatch, capsys):
    folder = repository / "results" / "smoke"
    (folder / "tables").mkdir(parents=True)
    (folder / "metrics").mkdir()
    (folder / "tables" / "table2.md").write_text("## Table 2\n")
    (folder / "tables" / "table2.csv").write_text("ours\n1.5\n")
    scores = [row("table2", "digits", "accuracy", v, ratio=r) for v, r in ((98, 0.0), (90, 1.0))]
    found = [runs(run_id=str(i)) | score for i, score in enumerate(scores)]
    pd.DataFrame(found).to_csv(folder / "metrics" / "table2.csv", index=False)
    curve = [{"step": s, "learning_rate": 1, "examples_per_second": 9} for s in range(1, 41)]
    curve = [line | {"loss": 1 / line["step"], "error_rate": 0.5} for line in curve]
    curve += [{"step": step, "test_accuracy": 50 + step} for step in (39, 40)]
    lines = "".join(json.dumps(line) + "\n" for line in curve)
    write_text(folder / "runs" / "1" / "history.jsonl", lines)
    monkeypatch.setattr("sys.argv", ["make_results", "--results", str(folder)])
    make_results.main()
    assert capsys.readouterr().out == "README.md: numbers as in docs/results\n"
    assert "-->2<!-- / --> trainings" in (repository / "README.md").read_text()
    written = {path: path.read_text() for path in (repository / "docs").rglob("*.*")}
    results = repository / "docs" / "results" / "smoke"
    made = {"table2", "metrics", "cells", "history", "provenance", "competence", "README"}
    assert made == {path.stem for path in results.iterdir()}
    curves = pd.read_csv(results / "history.csv")
    assert list(curves["step"]) == [*range(4, 44, 4), 39, 40]
    assert curves["test_accuracy"].notna().sum() == 2
    page = written[results / "README.md"]
    assert re.findall(r"^#+ .*", page, re.MULTILINE) == ["# Results: smoke", "## Table 2"]
    index = written[repository / "docs" / "RESULTS.md"]
    line = "| [real](results/real/README.md) | digits, letters | 4 | 9 | x, y |"
    assert line in index.splitlines()
    assert "- [Table 9: a, b](results/real/README.md#table-9-a-b)" in index
    assert "## smoke\n\n- [Table 2](results/smoke/README.md#table-2)" in index
    make_results.main()
    assert {path: path.read_text() for path in written} == written
    assert capsys.readouterr().out == ""


def test_what_is_finished_is_published_before_any_table(repository, monkeypatch):
    folder = repository / "results" / "smoke"
    monkeypatch.setattr("sys.argv", ["make_results", "--finished", str(folder)])
    with pytest.raises(NoiselabError, match="no finished training"):
        make_results.main()
    training = dict.fromkeys(collected.TRAINING_KEYS, 1) | {"device": "x", "revision": "abc"}
    for seed in (0, 1):
        run = {"run_id": f"classifier/digits/clean-s{seed}", "dataset": "digits", "seed": seed}
        content = {"run": run | {"protocol": "text"}, "training": training}
        content["metrics"] = {"accuracy": {"value": 90.0 + seed, "unit": "%"}}
        write_text(folder / "runs" / run["run_id"] / "metrics.json", json.dumps(content))
    make_results.main()
    results = repository / "docs" / "results" / "smoke"
    assert list(pd.read_csv(results / "metrics.csv")["value"]) == [90, 91]
    assert pd.read_csv(results / "provenance.csv")["trainings"].item() == 2
    assert "-->2<!-- / --> trainings" in (repository / "README.md").read_text()
