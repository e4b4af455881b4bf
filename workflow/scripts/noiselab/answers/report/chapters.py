"""The chapters: a study each, in it a family each, in it tables and figures, all from data."""

from itertools import groupby
from pathlib import Path

import jinja2
from docutils.core import publish_parts
from markupsafe import Markup

from noiselab.answers.report import tables
from noiselab.answers.report.facts import there
from noiselab.answers.report.figures import downloads, figure
from noiselab.answers.report.settings import by_family, settings
from noiselab.answers.report.words import slug
from noiselab.files import ROOT, read_json

CAPTIONS = ROOT / "workflow" / "report"
OWN = {"name": "own", "title": "Your own", "question": "", "paper": None, "artefacts": []}


class Context:
    """What the entries of a report share: tier, finished runs, data sets, items that are there."""

    def __init__(self, structure: dict, runs: dict[str, dict], datasets: dict[str, dict]):
        self.tier, self.runs, self.datasets = structure["tier"], runs, datasets
        self.own = structure["own"]
        items = [item for item in structure["items"] if there(item)]
        self.tables = {item["name"]: item for item in items if item["kind"] == "table"}
        self.items = [item for item in items if self.shows(item)]

    def shows(self, item: dict) -> bool:
        """Whether an item belongs to the report. In one of somebody's own settings, what rests on
        no run of theirs does not: it is the paper's, or theory."""
        return not self.own or bool(self.chosen(item))

    def chosen(self, item: dict) -> list[dict]:
        """The finished runs behind a table; of a figure, those behind its tables."""
        sources = [item, *(self.tables[t] for t in item["tables"] if t in self.tables)]
        ids = dict.fromkeys(run for source in sources for run in source["runs"])
        return [self.runs[run] for run in ids if run in self.runs]


def chapters(studies: list[dict], context: Context, front: dict | None) -> list[dict]:
    """A chapter per study with something to show, then one of what no study has; of settings of
    somebody's own, that one comes first. front: the figure that its study's chapter begins with."""
    named = {name for study in studies for name in study["artefacts"]}
    own = [item["name"] for item in context.items if item["name"] not in named]
    found = []
    last = OWN | {"artefacts": own}
    for study in (last, *studies) if context.own else (*studies, last):
        items = [item for item in context.items if item["name"] in study["artefacts"]]
        first = front if front and front["name"] in study["artefacts"] else None
        if items or first:
            families = [
                {"title": title, "id": f"{study['name']}-{slug(title)}", "entries": entries}
                for title, group in groupby(items, lambda item: item["category"])
                for entries in [[entry(item, context) for item in group]]
            ]
            shown = {"id": f"study-{study['name']}", "families": families}
            found.append(study | shown | {"front": first and entry(first, context)})
    return found


def entry(item: dict, context: Context) -> dict:
    """A table or figure as the template shows it."""
    files = {Path(path).name.partition(".")[2]: Path(path) for path in item["paths"]}
    shown = {
        "id": item["name"],
        "kind": item["kind"],
        "category": item["category"],
        "caption": caption(item["caption"], item["name"], context.tier),
        "settings": [settings(part, context.datasets) for part in by_family(context.chosen(item))],
        "downloads": downloads(item["paths"]),
    }
    if item["kind"] == "table":
        table = read_json(files["json"])
        return shown | tables.view(table, item["name"], item["runs"], context.runs)
    named = [context.tables[name] for name in item["tables"] if name in context.tables]
    numbers = [{"href": f"#{table['name']}", "title": title(table)} for table in named]
    return shown | {"title": item["title"], "numbers": numbers} | figure(item)


def title(item: dict) -> str:
    """What a table or figure is called; a table's title is in its data."""
    if item["title"]:
        return item["title"]
    data = next(path for path in item["paths"] if path.endswith(".json"))
    return read_json(data)["title"]


def caption(file: str, name: str, tier: str) -> Markup:
    """A caption as HTML. It is written for Snakemake's report: reStructuredText in which jinja2
    finds the parameters and the configuration of the rule as `snakemake`."""
    rule = {"params": {"name": name}, "config": {"tier": tier}}
    source = (CAPTIONS / file).read_text(encoding="utf-8")
    text = jinja2.Template(source, undefined=jinja2.StrictUndefined).render(snakemake=rule)
    safe = {"raw_enabled": False, "file_insertion_enabled": False}
    return Markup(publish_parts(text, writer="html5", settings_overrides=safe)["body"])
