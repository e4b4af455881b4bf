"""All of a plan for the rules: its jobs, where they put what, and what the reports show of it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from noiselab.errors import NoiselabError
from noiselab.families import FAMILIES
from noiselab.families.descriptor import HISTORY, METRICS, RUN, SUMMARY, Stage
from noiselab.files import read_json
from noiselab.planning import artefacts, checks, code, entries, own
from noiselab.planning import config as configuration
from noiselab.planning.artefacts import FAMILY_TITLES, Artefact
from noiselab.planning.datasets import check_source, is_real
from noiselab.planning.graph import Graph, Job, Places, graph
from noiselab.planning.runs import Plan

CAPTIONS = configuration.ROOT / "workflow" / "report"
TEMPLATES = CAPTIONS / "templates"  # of our own report, with its style and script
DOWNLOADS = "data"
# What the report shows beside tables and figures: piece -> file.
PIECES = {
    "claims": "claims.json",
    "audit": "tables/audit.json",
    "cost": "cost.json",
    "overview": "overview.json",
}
GOALS = ("report", "workflow_report")  # what comes last: all needs them
COSTING = ("cost", "task")  # modules of a family that an estimate asks
ORDER = ("table", "figure")
FRONT = "figure_spectrum"  # stands before the families


@dataclass(frozen=True)
class Project:
    """A plan with what the reports show of it."""

    graph: Graph
    note: str | None  # for who runs it

    # ------------------------------------------------------------------- Snakemake's own report

    def caption(self, artefact: Artefact) -> str:
        """Caption file of an artefact, in the folder of a study or beside these; those without one
        share that of tables."""
        named = artefact.entry.get("caption", f"{artefact.name}.rst")
        found = [*sorted(CAPTIONS.glob(f"*/{named}")), CAPTIONS / named]
        return str(next((file for file in found if file.is_file()), CAPTIONS / "table.rst"))

    def shelf(self, artefact: Artefact, option: str) -> dict:
        """Where and how Snakemake's report shows an output of an artefact; empty: it does not.
        Entries are sorted as text: two blanks put Table 2 before Table 10."""
        kind = {"figure": "Figures", "table": "Tables", "analysis": ""}[artefact.kind]
        forms = {"csv": "data (csv)", "svg": "svg"}
        if not kind or option not in forms:
            return {}
        numbered = re.fullmatch(r"(table|figure)(\d+)(?:_runs)?", artefact.name)
        name = f"{numbered[1].capitalize()} {numbered[2]:>2}" if numbered else artefact.name
        name = artefact.entry["title"] if artefact.kind == "figure" else name
        return {
            "caption": self.caption(artefact),
            "category": artefact.chapter,
            "subcategory": kind,
            "labels": {"result": name, "format": forms[option]},
        }

    def picture(self, stage: Stage) -> dict:
        """Where and how Snakemake's report shows what a stage generates."""
        return {
            "caption": str(CAPTIONS / "samples.rst"),
            "category": FAMILY_TITLES[stage.family],
            "subcategory": "Generated images",
            "labels": {"result": "{run}", "format": "png"},
        }

    def shown(self) -> list[str]:
        """Files that Snakemake's report shows."""
        files = []
        for artefact in self.artefacts("table", "figure"):
            outputs = self.graph.jobs[artefact.job].outputs
            files.append(outputs["csv" if artefact.kind == "table" else "svg"])
            if artefact.entry["builder"] == "samples":
                files += [f"{self._runs}/{run}/samples.png" for run in artefact.runs]
        answers = self.graph.places.answers
        files += [f"{answers}/claims.csv", f"{answers}/tables/audit.csv"]
        return [*files, f"{answers}/overview.csv"]

    # -------------------------------------------------------------------------------- the report

    @property
    def _runs(self) -> str:
        return f"{self.graph.places.results}/runs"

    def artefacts(self, *kinds: str) -> list[Artefact]:
        """The planned artefacts of these kinds, in their order."""
        return [a for a in self.graph.artefacts.values() if a.kind in kinds]

    def structure(self) -> dict:
        """What make_report.py has to know."""
        graph, places = self.graph, self.graph.places
        items = [self._item(artefact) for artefact in self.artefacts("figure", "table")]
        order = list(FAMILY_TITLES.values())
        items.sort(key=lambda item: order.index(item["category"]))
        front = next((item for item in items if item["name"] == FRONT), None)
        pieces = {name: f"{places.answers}/{file}" for name, file in PIECES.items()}
        own_settings = places.answers.startswith(f"{places.results}/own/")
        own_settings = own_settings and graph.config["only"] is None
        return {
            "tier": graph.config["tier"],
            "results": places.results,
            "workflow_report": "workflow_report.html",
            "logs": f"{places.results}/logs",
            "studies": [configuration.about(study) for study in graph.config["studies"]],
            "items": [item for item in items if item is not front],
            "pieces": pieces | {"spectrum": front},
            "runs": list(graph.plan.runs),
            "datasets": [
                {"file": f"{places.results}/data/{folder}/dataset.json", "real": is_real(spec)}
                for folder, spec in graph.plan.datasets.items()
            ],
            "own": own_settings,
            "not_planned": [] if own_settings else self._not_planned(),
        }

    def _not_planned(self) -> list[str]:
        plan = self.graph.plan
        return [e for e in self.graph.config["experiments"] if e not in plan.experiments]

    def _item(self, artefact: Artefact) -> dict:
        """A table or figure as the report takes it. A table's data have its title; the runs of a
        figure are those of its tables."""
        table = artefact.kind == "table"
        return {
            "category": artefact.chapter,
            "name": artefact.name,
            "title": None if table else artefact.entry["title"],
            "kind": artefact.kind,
            "paths": list(self.graph.jobs[artefact.job].outputs.values()),
            "caption": os.path.relpath(self.caption(artefact), CAPTIONS),
            "runs": self.runs_behind(artefact) if table else [],
            "tables": list(artefact.tables),
        }

    def runs_behind(self, artefact: Artefact) -> list[str]:
        """Ids of the runs that a table is made from."""
        runs = [run for e in artefact.experiments for run in self.graph.plan.experiments[e]]
        for analysis in artefact.analyses:
            runs += self.graph.artefacts[analysis].runs
        return list(dict.fromkeys([*runs, *artefact.runs]))

    def report_files(self) -> list[str]:
        """Files that the report is made from."""
        structure = self.structure()
        items = structure["items"] + [structure["pieces"]["spectrum"] or {"paths": []}]
        files = [path for item in items for path in item["paths"]]
        files += [structure["pieces"][name] for name in PIECES]
        files += [dataset["file"] for dataset in structure["datasets"]]
        for run in self.graph.plan.runs:
            parts = [f"{self._runs}/{run}/{part}" for part in (RUN, SUMMARY, HISTORY)]
            files += [file for file in parts if file in self.graph.producers]  # probes: no history
        for runs in self.graph.plan.experiments.values():
            files += [f"{self._runs}/{run}/{METRICS}" for run in runs]
        return list(dict.fromkeys(files))

    def add_reports(self) -> None:
        """The jobs that come last: configuration, cost and reports."""
        graph, answers = self.graph, self.graph.places.answers
        config = {"config": (f"{answers}/config.json",)}
        graph.add(
            Job("config", "resolved_config", {}, {"out": config["config"][0]}, content=graph.config)
        )
        made = {kind: [graph.jobs[a.job].outputs for a in self.artefacts(kind)] for kind in ORDER}
        inputs = {
            "metrics": tuple(f"{answers}/metrics/{e}.csv" for e in graph.plan.experiments),
            "tables": tuple(outputs["csv"] for outputs in made["table"]),
            "figures": tuple(outputs["svg"] for outputs in made["figure"]),
        }
        outputs = {suffix: f"{answers}/cost.{suffix}" for suffix in ("csv", "json", "md")}
        modules = [f"noiselab.families.{name}.{part}" for name in FAMILIES for part in COSTING]
        followed = code.script("plan_cost", *modules)
        graph.add(Job("cost", "cost", inputs | config, outputs, code=followed))
        captions = tuple(sorted(CAPTIONS.glob("**/*.rst")))
        page = code.script("make_report") + captions + tuple(sorted(TEMPLATES.iterdir()))
        page += tuple(filter(Path.is_file, [code.CITATION]))
        inputs = {"files": tuple(self.report_files()), **config}
        out = {"html": f"{answers}/report.html"}
        graph.add(Job("report", "report", inputs, out, content=self.structure(), code=page))
        inputs = {"shown": tuple(self.shown()), **config}
        out = {"html": f"{answers}/workflow_report.html"}
        graph.add(Job("workflow_report", "workflow_report", inputs, out, code=captions))
        self._add_publication(config)

    def _add_publication(self, config: dict) -> None:
        """The jobs that make results fit to be published: where all comes from, and one archive."""
        graph, answers = self.graph, self.graph.places.answers
        reports = {name: tuple(graph.jobs[name].outputs.values()) for name in GOALS}
        outputs = {"metadata": f"{answers}/ro-crate-metadata.json", "code": f"{answers}/code"}
        followed = code.script("make_crate") + code.repository()
        graph.add(Job("crate", "crate", reports | config, outputs, code=followed))
        inputs = {"crate": (outputs["metadata"],), **config}
        followed = code.script("make_bundle")
        out = {"archive": f"{answers}/bundle.zip"}
        graph.add(Job("bundle", "bundle", inputs, out, code=followed))


def plan(config: dict, results: str) -> Project:
    """The project of a validated configuration. results: folder of the tier."""
    checks.check(config)
    entries.check(config, FAMILY_TITLES)
    settings = own.settings(config, results)
    answers = settings.answers
    places = Places(results, answers, DOWNLOADS, config["data"]["root"])
    for spec in settings.plan.datasets.values():
        checks.check_packages(spec)
        check_source(config, spec)
    _check_labels(settings.plan)
    _check_data(settings.plan)
    audited = audit_experiments(config, settings.plan)
    planned = artefacts.planned(config, settings.plan, audited)
    whole = graph(settings.plan, config, places, planned)
    project = Project(whole, _note(settings))
    project.add_reports()
    return project


def _check_labels(plan: Plan) -> None:
    """Files of labels must be there. NoiselabError names the first that is not."""
    for name, ids in plan.experiments.items():
        for labels in filter(None, (plan.runs[run].get("labels") for run in ids)):
            if not labels["sha256"]:
                raise NoiselabError(
                    f"config key experiments.{name}.labels: no file {labels['file']}; a relative "
                    "path is one of the working folder or below data.root"
                )


def _check_data(plan: Plan) -> None:
    """Runs must suit their data, as far as these are prepared. NoiselabError names the first."""
    files = {run.data: Path(run.data, "dataset.json") for run in plan.runs.values()}
    described = {data: read_json(file) for data, file in files.items() if file.is_file()}
    for run in plan.runs.values():
        if run.data in described:
            mistake = FAMILIES[run.family].data_mistake(run, described[run.data])
            if mistake:
                raise NoiselabError(f"config key {run.family}.{mistake} (data set {run.dataset})")


def audit_experiments(config: dict, plan) -> set[str]:
    """Experiments that only the audit shows: those that a comparison names as released, and that no
    artefact names."""
    named = {e for entry in config["artefacts"].values() for e in entry.get("experiments", ())}
    compared = configuration.audit(config["studies"]).values()
    return {entry["released"] for entry in compared} & set(plan.experiments) - named


def _note(settings: own.Settings) -> str | None:
    """What who runs it must know about settings of their own."""
    if not settings.differing:
        return None
    keys = ", ".join(settings.differing[:3]) + (", …" if len(settings.differing) > 3 else "")
    return f"settings of your own ({keys}): tables and reports go to {settings.answers}/"
