"""A finished tier as an RO-Crate: what was made, by which job, from what, when and by which code.

An RO-Crate is a folder with a file ro-crate-metadata.json that describes it, in JSON-LD with the
words of schema.org (https://w3id.org/ro/crate/1.1). This one conforms to Provenance Run Crate, how
the run of a workflow is told (https://w3id.org/ro/wfrun/provenance/0.5):

    workflow (Snakefile) ── step ─> HowToStep, one per rule ── workExample ─> tool, a script
    run of the engine ── object ─> ControlAction per job ── object ─> CreateAction of the job, with
        instrument: its tool, object: files read, result: files written, startTime, endTime

All of it comes from the graph of jobs (noiselab.planning.graph). A file in the crate is a `File`
with its digest; one that is not (weights in an archive, what lies in another folder) is a
`CreativeWork` with the digest of what it was.
"""

import hashlib
import mimetypes
import os
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import yaml
from rocrate.model import ContextEntity, Dataset, File
from rocrate.model.computationalworkflow import ComputationalWorkflow
from rocrate.model.computerlanguage import snakemake
from rocrate.rocrate import ROCrate

from noiselab.errors import NoiselabError
from noiselab.families import stages
from noiselab.families.descriptor import SUMMARY
from noiselab.files import ROOT, read_json, sha256
from noiselab.planning import current
from noiselab.planning.code import CITATION
from noiselab.planning.graph import Job
from noiselab.planning.project import GOALS, Project
from noiselab.planning.provenance import PACKAGES, code_revision

METADATA, README = "ro-crate-metadata.json", "README.md"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/provenance/0.5": ("Provenance Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
LICENCES = {"MIT": "https://spdx.org/licenses/MIT"}
TYPES = {
    ".md": "text/markdown",
    ".tsv": "text/tab-separated-values",
    ".jsonl": "application/jsonl",
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
    ".parquet": "application/vnd.apache.parquet",
    ".smk": "text/x-python",
    ".tex": "application/x-tex",
    ".yaml": "application/yaml",
}
# Rules whose script is not called as they are; a rule without one is its own tool.
SCRIPTS = ("{}", "make_{}", "plan_{}")


class Crate:
    """The metadata of a crate. project: its plan; root: folder that the crate is, relative to the
    working folder; holds: whether the crate has a file, by its path; None: all below `root`."""

    def __init__(self, project: Project, root: str, holds: Callable[[str], bool] | None = None):
        self.project, self.graph, self.root = project, project.graph, root
        self.holds = holds or (lambda file: True)
        self.crate = ROCrate(version="1.1")
        self.crate.metadata.extra_contexts.append(TERMS)
        self.entities: dict[str, ContextEntity] = {}  # by path or id
        self.stages = {stage.rule: stage.script for stage in stages()}

    def content(self, readme: bytes | None = None) -> dict:
        """The metadata as JSON-LD. readme: content of a README.md that the crate has at its top.
        NoiselabError: a file of the plan is not there."""
        jobs = [self.graph.jobs[name] for name in self._executed()]
        steps = self._steps(list(dict.fromkeys(job.rule for job in jobs)))
        actions = [self._action(job) for job in jobs]
        workflow = self._workflow(steps)
        run = self._run(workflow, jobs, actions)
        self._engine(run, jobs, actions, steps)
        self._root([run, *actions])
        if readme is not None:
            self._readme(readme)
        return self.crate.metadata.generate()

    def _executed(self) -> list[str]:
        """Names of the jobs behind the reports, and of masks that were made, in an order in which
        each comes after what it needs."""
        masks = [n for n, job in self.graph.jobs.items() if n.startswith("mask/") and _made(job)]
        wanted, order = self.graph.closure([*GOALS, *masks]), {}

        def visit(name: str) -> None:
            if name not in order:
                for need in self.graph.needs(name):
                    visit(need)
                order[name] = None

        for name in self.graph.jobs:
            if name in wanted:
                visit(name)
        return list(order)

    # ------------------------------------------------------------------------------- entities

    def _context(self, identifier: str, kind: str, **properties) -> ContextEntity:
        """An entity that is no file, once."""
        if identifier not in self.entities:
            told = {"@type": kind} | _single(properties)
            entity = ContextEntity(self.crate, identifier, properties=told)
            self.entities[identifier] = self.crate.add(entity)
        return self.entities[identifier]

    def _file(self, path: str, *kinds: str, **properties) -> ContextEntity:
        """A file, in the crate or not. path: relative to the working folder, or absolute."""
        if path in self.entities:
            return self.entities[path]
        there = Path(path)
        place = os.path.relpath(path, self.root)
        if there.is_file():
            properties |= {"contentSize": str(there.stat().st_size), "sha256": sha256(there)}
        if place.startswith("..") or not self.holds(path):
            # No path of this machine: the folder and the name say enough.
            outside = Path("elsewhere", *there.parts[-2:]) if os.path.isabs(path) else there
            name = outside.as_posix()
            note = "not part of this crate" if there.is_file() else "not kept"
            told = {"name": name, "description": note} | properties
            self.entities[path] = self._context(f"#{name}", "CreativeWork", **told)
            return self.entities[path]
        if not there.is_file():
            raise NoiselabError(f"{path}: is not there; make the tier's reports first")
        properties |= {"name": place, "encodingFormat": _media_type(there)}
        kind = {"@type": ["File", *kinds]} if kinds else {}
        entity = self.crate.add(File(self.crate, path, place, properties=properties | kind))
        self.entities[path] = entity
        return entity

    def _code(self, place: str, *kinds: str, **properties) -> ContextEntity:
        """A file of the copy of the code. place: relative to the repository."""
        return self._file(f"{self.graph.places.answers}/code/{place}", *kinds, **properties)

    def _tool(self, rule: str) -> ContextEntity:
        """What does the work of a rule: its script, or the file of rules that it stands in."""
        names = [self._script(rule), *(form.format(rule) for form in SCRIPTS)]
        scripts = [f"workflow/scripts/{name}.py" for name in filter(None, names)]
        place = next((script for script in scripts if (ROOT / script).is_file()), None)
        if place is None:
            files = sorted((ROOT / "rules").glob("*.smk"))
            found = next(f for f in files if f"rule {rule}:" in f.read_text(encoding="utf-8"))
            place = f"rules/{found.name}"
        return self._code(place, "SoftwareSourceCode", version=self.revision)

    def _script(self, rule: str) -> str | None:
        """The script of a stage or an artefact."""
        artefact = self.graph.artefacts.get(rule)
        if artefact is None:
            return self.stages.get(rule)
        return artefact.entry["builder"] if artefact.kind == "analysis" else f"make_{artefact.kind}"

    # ------------------------------------------------------------------------------ the workflow

    def _steps(self, rules: list[str]) -> dict[str, ContextEntity]:
        """Rule -> its step, in the order in which the first job of each was possible."""
        return {
            rule: self._context(
                f"#step/{rule}",
                "HowToStep",
                name=rule,
                position=str(position),
                workExample=self._tool(rule),
            )
            for position, rule in enumerate(rules, start=1)
        }

    def _workflow(self, steps: dict[str, ContextEntity]) -> ContextEntity:
        """The main entity: the Snakefile."""
        place = f"{self.graph.places.answers}/code/Snakefile"
        language = self.crate.add(snakemake(self.crate, version("snakemake")))
        tools = {step["workExample"].id: step["workExample"] for step in steps.values()}
        properties = {
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            "name": "noiselab",
            "version": self.revision,
            "description": f"The workflow, a copy of code revision {self.revision}.",
            "encodingFormat": "text/x-python",
            "sha256": sha256(place),
            "programmingLanguage": language,
            "license": self._licence(),
            "author": self._authors(),
            "softwareRequirements": self._requirements(),
            "hasPart": list(tools.values()),
            "step": list(steps.values()),
            "input": [self._parameter("config", f"{self.graph.places.answers}/config.json")],
            "output": [self._parameter("report", f"{self.graph.places.answers}/report.html")],
        }
        local = os.path.relpath(place, self.root)
        workflow = ComputationalWorkflow(self.crate, place, local, properties=_single(properties))
        self.entities[place] = self.crate.add(workflow)
        self.crate.mainEntity = workflow
        return workflow

    def _parameter(self, name: str, path: str) -> ContextEntity:
        """An input or output of the workflow, with the file that it was."""
        file = self._file(path)
        parameter = self._context(
            f"#parameter/{name}",
            "FormalParameter",
            name=name,
            additionalType="File",
            workExample=file,
        )
        file["exampleOfWork"] = parameter
        return parameter

    def _requirements(self) -> list[ContextEntity]:
        """Pins of packages, and the versions that trainings said they had."""
        used = {
            (name, f[name]) for f in self.trainings for name in ("python", *PACKAGES) if name in f
        }
        versions = [
            self._context(f"#{name}-{number}", "SoftwareApplication", name=name, version=number)
            for name, number in sorted(used)
        ]
        return [self._code("requirements.txt"), *versions]

    @cached_property
    def trainings(self) -> list[dict]:
        """training.json of the runs."""
        runs = Path(self.graph.places.results, "runs")
        files = [runs / run / SUMMARY for run in self.graph.plan.runs]
        return [read_json(file) for file in files if file.is_file()]

    # ------------------------------------------------------------------------------------ jobs

    def _action(self, job: Job) -> ContextEntity:
        """What a job did."""
        start, end = self._times(job)
        return self._context(
            f"#job/{job.name}",
            "CreateAction",
            name=job.name,
            description=self._told(job),
            instrument=self._tool(job.rule),
            object=[self._file(file) for file in dict.fromkeys(job.files)],
            result=[self._file(file) for file in job.outputs.values()],
            startTime=start,
            endTime=end,
            actionStatus="http://schema.org/CompletedActionStatus",
        )

    def _times(self, job: Job) -> tuple[str | None, str | None]:
        """When a job began and ended: Snakemake writes its benchmark file at the end, with its
        seconds. A copy of results that did not keep times of files has those of the copy."""
        folder = current.folder(self.graph, job)
        path = Path(folder, "benchmarks", f"{job.name}.tsv")
        if not path.is_file():
            return None, None
        end = path.stat().st_mtime
        seconds = path.read_text(encoding="utf-8").splitlines()[1].split("\t")[0]
        return _time(end - float(seconds)), _time(end)

    def _told(self, job: Job) -> str:
        """The rule, and of a training, revision and machine."""
        path = Path(self.graph.places.results, "runs", job.run or "", SUMMARY)
        if str(path) not in job.outputs.values() or not path.is_file():
            return f"Rule {job.rule}."
        facts = read_json(path)
        return f"Rule {job.rule}, code revision {facts['revision']}, on {facts['device']}."

    def _run(self, workflow, jobs: list[Job], actions: list[ContextEntity]) -> ContextEntity:
        """The whole run: from the configuration and what no job made to the answers."""
        made = set(self.graph.producers)
        outside = dict.fromkeys(f for job in jobs for f in job.files if f not in made)
        answers = self.graph.places.answers
        results = [f for job in jobs for f in job.outputs.values() if f.startswith(f"{answers}/")]
        starts = [action["startTime"] for action in actions if "startTime" in action]
        ends = [action["endTime"] for action in actions if "endTime" in action]
        return self._context(
            "#run",
            "CreateAction",
            name=f"noiselab at tier {self.graph.config['tier']}",
            description="All jobs from data to report, of one call of Snakemake or several.",
            instrument=workflow,
            object=[self._file(f"{answers}/config.json"), *map(self._file, outside)],
            result=[self._file(f) for f in results if "/runs/" not in f and "/data/" not in f],
            startTime=min(starts, default=None),
            endTime=max(ends, default=None),
            actionStatus="http://schema.org/CompletedActionStatus",
        )

    def _engine(self, run, jobs: list[Job], actions: list[ContextEntity], steps: dict) -> None:
        """Snakemake, and which step each job was."""
        controls = [
            self._context(
                f"#step-of/{job.name}", "ControlAction", instrument=steps[job.rule], object=action
            )
            for job, action in zip(jobs, actions, strict=True)
        ]
        engine = self._context(
            "https://snakemake.github.io",
            "SoftwareApplication",
            name="Snakemake",
            url="https://snakemake.github.io",
            version=version("snakemake"),
        )
        self._context(
            "#engine",
            "OrganizeAction",
            name="Snakemake's run of the workflow",
            instrument=engine,
            object=controls,
            result=run,
            startTime=run.get("startTime"),
            endTime=run.get("endTime"),
        )

    # ------------------------------------------------------------------------------------ root

    def _root(self, actions: list[ContextEntity]) -> None:
        """The crate itself. actions: the whole run, then its jobs."""
        root, tier = self.crate.root_dataset, self.graph.config["tier"]
        properties = {
            "name": f"noiselab, tier {tier}",
            "description": "What models lose when part of their training targets is wrong: tables, "
            f"figures, verdicts and report of tier {tier}, and how each file was made.",
            "datePublished": actions[0].get("endTime") or _time(0),
            "license": self._licence(),
            "author": self._authors(),
            "citation": self._papers(),
            "mentions": [*actions, self.entities["#engine"]],
            "conformsTo": [
                self._context(identifier, "CreativeWork", name=name, version=number)
                for identifier, (name, number) in PROFILES.items()
            ],
        }
        for key, value in _single(properties).items():
            root[key] = value
        self._folder("code", f"All that is needed to repeat it, of revision {self.revision}.")
        descriptor = self.crate.metadata
        descriptor["conformsTo"] = [{"@id": descriptor.profile}, {"@id": list(PROFILES)[-1]}]

    def _folder(self, name: str, description: str) -> None:
        """A folder of the answers."""
        path = f"{self.graph.places.answers}/{name}"
        properties = {"name": name, "description": description}
        place = os.path.relpath(path, self.root)
        self.crate.add(Dataset(self.crate, path, place, properties=properties))

    def _readme(self, content: bytes) -> None:
        """How to read the crate, in words."""
        properties = {"name": README, "encodingFormat": "text/markdown"}
        properties |= {"contentSize": str(len(content)), "about": self.crate.root_dataset}
        properties["sha256"] = hashlib.sha256(content).hexdigest()
        self.crate.add(File(self.crate, README, README, properties=properties))

    @property
    def files(self) -> list[str]:
        """Paths of the files that are in the crate, as far as they are described."""
        return [path for path, entity in self.entities.items() if "File" in entity.type]

    @cached_property
    def revision(self) -> str:
        """Of the code that made the crate."""
        return code_revision()

    @cached_property
    def _citation(self) -> dict:
        return yaml.safe_load(CITATION.read_text(encoding="utf-8"))

    @property
    def citations(self) -> list[tuple[str, str]]:
        """What to cite, noiselab and the papers: (title, version or address)."""
        own = (self._citation["title"], f"version {self._citation['version']}")
        return [own, *((paper["title"], paper["url"]) for paper in self._citation["references"])]

    def _licence(self) -> ContextEntity:
        name = self._citation["license"]
        return self._context(LICENCES[name], "CreativeWork", name=f"{name} licence")

    def _authors(self) -> list[ContextEntity]:
        names = [author["name"] for author in self._citation["authors"]]
        return [
            self._context(f"#author/{i}", "Organization", name=n) for i, n in enumerate(names, 1)
        ]

    def _papers(self) -> list[ContextEntity]:
        """What the results are about, and to cite beside noiselab."""
        return [
            self._context(
                paper["url"],
                "ScholarlyArticle",
                name=paper["title"],
                url=paper["url"],
                datePublished=str(paper["year"]),
                author=[self._person(author) for author in paper["authors"]],
            )
            for paper in self._citation["references"]
        ]

    def _person(self, author: dict) -> ContextEntity:
        name = f"{author['given-names']} {author['family-names']}"
        return self._context(f"#person/{name.replace(' ', '-')}", "Person", name=name)


def _single(properties: dict) -> dict:
    """Properties that have a value; a list of one is that one (a rule of RO-Crate's JSON-LD)."""
    known = {key: value for key, value in properties.items() if value not in (None, [])}
    lists = {key for key, value in known.items() if isinstance(value, list) and key != "@type"}
    return {k: v[0] if k in lists and len(v) == 1 else v for k, v in known.items()}


def _made(job: Job) -> bool:
    return all(Path(file).is_file() for file in job.outputs.values())


def _time(seconds: float) -> str:
    """ISO 8601, in whole seconds of UTC."""
    return datetime.fromtimestamp(int(seconds), UTC).isoformat()


def _media_type(path: Path) -> str:
    known = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return known or ("text/plain" if path.suffix == ".txt" else "application/octet-stream")
