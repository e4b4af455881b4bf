"""The report: one HTML file that answers, made from what a tier has built.

Its structure comes from the plan (Project.structure in noiselab.planning.project), as JSON:

    tier, results (the tier's folder), workflow_report (name of the file beside it), logs (folder)
    studies: [{name, title, question, paper (title, authors, venue, url; or null), and names of its
        artefacts and claims}]
    items: [{category, name, title or null (that of its data), kind: table | figure, paths, caption
        (file, relative to the captions), runs behind a table, tables that have a figure's numbers}]
    pieces: {claims, audit, cost, overview: path or null; spectrum: item or null}
    runs: ids of all runs, judges and teachers among them
    datasets: [{file: dataset.json, real: whether it does not come with a package}]
    own: whether the settings are somebody's own, who may not ask about the paper
    not_planned: names of experiments that the configuration has, but the plan has not

A module for each part collects what it shows, and a template of the same name in
workflow/report/templates/ shows it; style.css and script.js beside them are ours, too. Captions of
tables and figures are in the folder of their study.
"""

import re

import jinja2
import vl_convert
from markupsafe import Markup

from noiselab.answers.figures.vegalite import VERSION
from noiselab.answers.report import chapters, claims, facts, figures, first, runs, tables
from noiselab.answers.verdicts import VERDICTS
from noiselab.files import read_json

TEMPLATES = chapters.CAPTIONS / "templates"
END = re.compile(r"</(?=script|style)", re.IGNORECASE)
PAGES = {  # pieces that are tables of their own: name -> title of their chapter
    "audit": "Audit: text against code",
    "cost": "Cost",
    "overview": "What was run",
}


def render(structure: dict) -> str:
    """The report as a self-contained HTML page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals |= {"signs": {verdict: word.sign for verdict, word in VERDICTS.items()}}
    return environment.get_template("report.html.j2").render(collect(structure))


def collect(structure: dict) -> dict:
    """What the templates show."""
    datasets = {row["name"]: row for row in map(_dataset, structure["datasets"])}
    finished = runs.read(structure)
    context = chapters.Context(structure, finished, datasets)
    pieces = _pieces(structure, context)
    told = facts.facts(finished, datasets, context.items) | {"tier": structure["tier"]}
    rows = claims.read(pieces["claims"], structure["own"]) if "claims" in pieces else None
    studies = chapters.chapters(structure["studies"], context, pieces.get("spectrum"))
    return {
        "tier": structure["tier"],
        "workflow_report": structure["workflow_report"],
        "facts": told,
        "missing": facts.missing(structure),
        "lacking": facts.lacking(structure),
        "not_planned": structure["not_planned"],
        "first": _first(structure, context, rows, studies),
        "claims": rows
        and claims.view(pieces["claims"], rows, structure["studies"], finished, told),
        "studies": studies,
        "pages": {name: _page(name, pieces[name], finished) for name in PAGES if name in pieces},
        "runs": runs.entries(finished, structure["logs"]),
        "vega": _vega(studies),
        "inline": _inline,
    }


def _first(
    structure: dict, context: chapters.Context, rows: list[dict] | None, studies: list[dict]
) -> dict:
    """The first screen."""
    paths = context.tables.get(first.SPECTRUM, {"paths": []})["paths"]
    found = first.spectrum(next((path for path in paths if path.endswith(".csv")), None))
    made = bool(rows), len(context.runs), structure["own"]
    return {
        "question": first.question(structure["studies"]),
        "spectrum": found,
        "answer": found["answer"] if found else first.without_spectrum(studies, *made),
        "highlights": first.highlights(studies, bool(found)),
        "tally": claims.tally(rows, structure["studies"]) if rows else None,
    }


def _pieces(structure: dict, context: chapters.Context) -> dict:
    """The pieces that are there. In settings of somebody's own, neither a figure of no run of
    theirs nor an audit of what they did not run."""
    found = {name: piece for name, piece in structure["pieces"].items() if facts.there(piece)}
    if "spectrum" in found and not context.shows(found["spectrum"]):
        del found["spectrum"]
    if context.own and "audit" in found and not tables.has_numbers(read_json(found["audit"])):
        del found["audit"]
    return found


def _dataset(entry: dict) -> dict:
    return read_json(entry["file"]) | {"real": entry["real"]}


def _page(name: str, path: str, finished: dict) -> dict:
    """A piece that is a table of its own."""
    shown = tables.view(read_json(path), name, [], finished)
    return {
        "id": f"section-{name}",
        "title": PAGES[name],
        "table": shown,
        "downloads": figures.beside(path),
    }


def _vega(studies: list[dict]) -> Markup:
    """The library that draws figures where there are scripts; empty where no figure asks for it."""
    families = [family for study in studies for family in study["families"]]
    entries = [entry for family in families for entry in family["entries"]]
    entries += [study["front"] for study in studies if study["front"]]
    if not any(entry.get("spec") for entry in entries):
        return Markup("")
    return _closed(vl_convert.javascript_bundle(vl_version=VERSION))


def _inline(name: str) -> Markup:
    """A file beside the templates, as text inside an element."""
    return _closed((TEMPLATES / name).read_text(encoding="utf-8"))


def _closed(text: str) -> Markup:
    """Text inside <script> or <style>, which it cannot end."""
    return Markup(END.sub(r"<\\/", text))
