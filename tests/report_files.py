"""A small tier for tests of the report: files of runs, tables and figures, a reader of pages."""

import json
from html.parser import HTMLParser

from helpers import small_run
from noiselab.answers import layouts
from noiselab.answers.claims import BASES
from noiselab.files import write_json, write_text

SVG = (
    '<svg role="img" aria-label="Accuracy falls." xmlns="http://www.w3.org/2000/svg" '
    'width="900" height="300" viewBox="0 0 900 300">'
    '<defs><clipPath id="NAME-0"><rect width="9"/></clipPath></defs>'
    '<g clip-path="url(#NAME-0)"><rect width="9" fill="currentColor"/></g>'
    "</svg>"
)
RUN = "classifier/digits/a-s0"


class Page(HTMLParser):
    """Elements of a page, its text, and the tags that were not closed in order."""

    VOID = ("meta", "link", "img", "br", "hr", "col", "input")
    UNSEEN = ("script", "style")

    def __init__(self, text):
        super().__init__()
        self.elements, self.text, self.open, self.unbalanced = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):  # of svg
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        if not set(self.open) & set(self.UNSEEN):
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def ids(self):
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]

    def words(self):
        return " ".join(" ".join(self.text).split())


def run_files(folder, name=RUN, changes=(), training=(), evaluation="abc123"):
    """Files of one finished run."""
    run = small_run() | {"run_id": name, "parents": {"clean": name}} | dict(changes)
    summary = {"device": "a CPU", "revision": "abc123", "seconds": 90.0, "python": "3.11.7"}
    summary |= dict.fromkeys(("torch", "torchvision", "numpy", "snakemake"), "1.0")
    summary |= {"steps": 20, "examples": 400, "measured_error_rate": 0.5}
    place = folder / "runs" / name
    write_json(place / "run.json", run.content())
    write_json(place / "training.json", summary | dict(training))
    score = {"value": 90.0, "ci_low": 88.0, "ci_high": 92.0, "floor": 95.0, "unit": "%"}
    score |= {"excess_low": -7.0, "excess_high": -3.0, "reason": None}
    metrics = {"evaluation_revision": evaluation, "metrics": {"accuracy": score}}
    write_json(place / "metrics.json", metrics)
    history = [{"step": s, "loss": 2.5 - s / 10} for s in range(1, 21)]
    history += [{"step": 20, "test_accuracy": 90.0}]
    write_text(place / "history.jsonl", "\n".join(map(json.dumps, history)) + "\n")
    write_text(folder / "logs" / "train" / f"{name}.log", "one\r 50 %\r100 %\nthe last line\n")


def table_data(title="Table 2: accuracy", runs=(RUN,), label="100:100", note="A note."):
    """The data of a table with two blocks."""

    def column(kind, title, cells):
        told = [{"text": t, "interval": i, "note": "", "mark": "", "runs": r} for t, i, r in cells]
        return {"title": title, "kind": kind, "cells": told}

    ours = [("90.00", ["88.00", "92.00"], list(runs))]
    blocks = [
        {
            "title": f"{name}: accuracy (%)",
            "columns": [
                column("paper", "paper, CIFAR-10", [("85.35", None, [])]),
                column("ours", "ours [95 % CI]", ours),
                column("floor", "floor", [("95.00", None, list(runs))]),
                column("loss", f"{layouts.ABOVE} [95 % CI]", [("+5.00", ["-1.00", "+7.00"], [])]),
            ],
        }
        for name in ("digits", "glyphs-100")
    ]
    grid = {"head": "Correct:Incorrect", "rows": [label], "blocks": blocks}
    return {"title": title, "notes": [note], "grids": [grid]}


def table_files(folder, name, seeds=1, **changes):
    """The four files of a table."""
    files = [folder / "tables" / f"{name}.{suffix}" for suffix in ("csv", "json", "md", "tex")]
    write_text(files[0], f"dataset,n_seeds\ndigits,{seeds}\nplan,\n")
    write_json(files[1], table_data(**changes))
    write_text(files[2], "## Ä table\n")
    write_text(files[3], "\\begin{table}\n")
    return [str(file) for file in files]


def figure_files(folder, name, spec=None):
    """The files of a figure. spec: that of Vega-Lite; None: it has nothing to ask about."""
    endings = (".svg", "_narrow.svg", ".png", ".csv", ".json")
    files = [folder / "figures" / f"{name}{ending}" for ending in endings]
    for file in files:
        drawn = SVG.replace("NAME", file.stem)
        write_text(
            file, {".svg": drawn, ".csv": "a,b\n1,2\n"}.get(file.suffix, "\x89PNG and so on")
        )
    sizes = {} if spec is None else dict.fromkeys(("wide", "narrow"), spec)
    write_json(files[-1], {"alt": "Accuracy falls from 95 to 90 %.", **sizes})
    return [str(file) for file in files]


def item(name, kind, paths, **changes):
    content = {"category": "Classifiers", "name": name, "kind": kind, "paths": paths}
    content |= {"title": None, "caption": "low_quality_data/table2.rst", "runs": [], "tables": []}
    return content | changes


def ruler(name, value, low, high, verdict, unit="points"):
    found = {"ruler": name, "unit": unit, "published": 6.7, "value": value}
    return found | {"ci_low": low, "ci_high": high, "verdict": verdict}


CLAIM = {
    "name": "diffusion_collapses",
    "place": "Section 3.4, Table 1",
    "claim": "Diffusion models collapse.",
    "statistic": "relative drop of consistency at r = 1",
    "rule": "at least 50 %",
    "why": "More than half is lost.",
    "needs": "CIFAR-10, tier paper",
    "published": 56.81,
    "unit": "%",
    "transfers": True,
    "verdict": "not decidable here",
    "because": "needs CIFAR-10; run here: digits",
    "by_basis": dict.fromkeys(BASES, "not tested") | {"stand_in": "does not hold"},
    "open": "CIFAR-10, and the paper's network and length of training (tier paper)",
    "tests": [
        {
            "where": "digits, tier quick, one training",
            "seeds": 1,
            "basis": "stand_in",
            "value": 41.2,
            "ci_low": 38.0,
            "ci_high": 44.1,
            "interval": "t_items",
            "verdict": "does not hold",
            "reason": None,
            "runs": [RUN],
            "rulers": [
                ruler("absolute, above the floor", 3.9, 2.8, 5.0, None),
                ruler("relative, above the floor", 4.1, 3.0, 5.2, "undecided", unit="%"),
                ruler("absolute", -39.0, None, None, None),
            ],
        }
    ],
}
UNTESTED = CLAIM | {"name": "untested", "published": None, "tests": [], "because": "not run"}
UNTESTED |= {"by_basis": dict.fromkeys(BASES, "not tested")}
LEVEL = UNTESTED | {"name": "level", "transfers": False}
STUDY = {
    "name": "low_quality_data",
    "title": "Low-quality data",
    "question": "How much does a model lose?",
    "paper": {"title": "Robustness", "authors": "L & J", "venue": "ICLR", "url": "https://a.b/c"},
    "artefacts": ["table2", "figure_classifier", "figure_spectrum", "spectrum", "table9"],
    "claims": ["diffusion_collapses", "untested", "level"],
}


def spectrum_files(folder, rows=None):
    """The table that the first screen is drawn from. rows: family, data set, loss, floor, and
    whether the model is too weak."""
    rows = rows or [("classifier", "digits", 2.0, 0.0, ""), ("diffusion", "digits", 70.0, 49.0, "")]
    head = "family,dataset,panel,metric,noise_ratio,error_rate,ours,floor,ci_low,ci_high,"
    lines = [f"{head}excess_low,excess_high,n_seeds,competence"]
    for family, dataset, loss, floor, weak in rows:
        above = "" if floor is None else f"{loss - floor - 1},{loss - floor + 1}"
        numbers = f"{loss},{'' if floor is None else floor},{loss - 1},{loss + 1},{above or ','}"
        panel = f"{family}: relative loss (%)"
        lines.append(f"{family},{dataset},{panel},accuracy,1.0,0.5,{numbers},3,{weak}")
    files = table_files(folder, "spectrum", title="The spectrum: losses")
    write_text(folder / "tables" / "spectrum.csv", "\n".join(lines) + "\n")
    return files


def small_tier(folder):
    """The structure of a small tier with one of everything."""
    run_files(folder)
    write_json(folder / "data.json", {"name": "digits", "train_size": 200})
    write_json(folder / "claims.json", {"tier": "quick", "claims": [CLAIM, UNTESTED]})
    for name in ("audit", "cost", "overview"):
        write_json(folder / f"{name}.json", table_data(f"{name} inside", note=f"{name} note"))
    write_text(folder / "cost.csv", "hours\n1\n")
    pieces = {name: str(folder / f"{name}.json") for name in ("audit", "cost", "overview")}
    pieces["claims"] = str(folder / "claims.json")
    drawn = figure_files(folder, "figure_spectrum")
    pieces["spectrum"] = item("figure_spectrum", "figure", drawn, title="All families")
    figure = figure_files(folder, "figure_classifier", {"mark": "bar", "title": "</script><b>"})
    items = [
        item("spectrum", "table", spectrum_files(folder), category="All families"),
        item("figure_classifier", "figure", figure, title="Accuracy", tables=["table2"]),
        item("table2", "table", table_files(folder, "table2"), runs=[RUN]),
    ]
    return {
        "tier": "quick",
        "results": str(folder),
        "logs": str(folder / "logs"),
        "workflow_report": "workflow_report.html",
        "studies": [STUDY],
        "items": items,
        "pieces": pieces,
        "datasets": [{"file": str(folder / "data.json"), "real": False}],
        "runs": [RUN, "classifier/digits/unfinished-s0"],
        "own": False,
        "not_planned": [],
    }
