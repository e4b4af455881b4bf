"""What the rules are made of: patterns of files, input functions, resources and command lines.

Rules in rules/ loop over stages and artefacts and ask here.
"""

import json
import math
import re
import shlex
from collections.abc import Callable, Iterable

from noiselab.errors import NoiselabError
from noiselab.families import stages
from noiselab.families.descriptor import OWN, SCORING, Stage
from noiselab.planning import current
from noiselab.planning.artefacts import Artefact
from noiselab.planning.graph import Graph, Job

# What noiselab.records.keep writes; of a folder there is no size.
RECORD = (
    "{{ printf '%s\\n' {params.digest}"
    " && find {output:q} -maxdepth 0 -type f -exec wc -c '{{}}' +; }} > {output.record:q}"
)
LOGGED = "> {log:q} 2>&1"
# The shell command of rules that are made in a loop, whose variables it cannot see when it runs.
COMMAND = f"{{params.command}} {LOGGED} && {RECORD}"
LIBRARIES = ("OMP", "MKL", "OPENBLAS")  # whose threads torch and NumPy compute with
SCORED = {"run", "summary"}  # options of the scoring script; the other files have names


def interpreter(config: dict, scripts: str) -> list[str]:
    """Words of $PYTHON. Snakemake gives each process the threads of its job, which depend on
    `--cores`; `cpu_threads` fixes them. Where runs are short, Python starts with its imports done.
    """
    threads = config["cpu_threads"]
    words = ["env", *(f"{name}_NUM_THREADS={threads}" for name in LIBRARIES)] if threads else []
    return [*words, "python", *([f"{scripts}/warm_start.py"] if config["warm_start"] else [])]


class Wiring:
    """The rules' view of a graph. force: what makes files again although they are there."""

    def __init__(self, graph: Graph, force: Callable[[Iterable[str]], None]):
        self.graph, self.config, self.force = graph, graph.config, force
        self.stages = stages()

    # ------------------------------------------------------------------------------- any job

    def job(self, name: str) -> Job:
        """A job of the plan. NoiselabError: it is not planned."""
        try:
            return self.graph.jobs[name]
        except KeyError:
            raise NoiselabError(f"{name} is not planned") from None

    def read(self, name: str) -> dict[str, list[str]]:
        """What a job reads. It is made again where what is there is not current."""
        job = self.job(name)
        if current.is_stale(self.graph, job):
            self.force(job.outputs.values())
        return {option: list(files) for option, files in job.inputs.items()}

    def inputs(self, pattern: str) -> Callable:
        """Input function of the jobs of this name, with wildcards in braces."""
        return lambda wildcards: self.read(pattern.format(**wildcards))

    def digest(self, pattern: str) -> Callable:
        """Parameter of a rule: what its outputs are made from."""
        return lambda wildcards: self.graph.digest(pattern.format(**wildcards))

    def content(self, name: str) -> str:
        """The content of a job as JSON, to be written to a file, in the order that it has: that of
        artefacts is the order of the report."""
        return json.dumps(self.job(name).content, indent=2)

    def flags(self, name: str) -> str:
        """The content of a job as command-line flags: those that are true."""
        return " ".join(f"--{key}" for key, value in self.job(name).content.items() if value)

    def masks(self) -> list[str]:
        """The masks of all runs with noise that experiments ask for."""
        runs = {run for runs in self.graph.plan.experiments.values() for run in runs}
        jobs = (self.graph.jobs.get(f"mask/{run}") for run in sorted(runs))
        return [job.outputs["out"] for job in jobs if job]

    def datasets(self) -> list[str]:
        """The prepared data of all runs that experiments ask for."""
        experiments = (f"collect/{name}" for name in self.graph.plan.experiments)
        jobs = (self.graph.jobs[name] for name in sorted(self.graph.closure(experiments)))
        files = (job.outputs.values() for job in jobs if job.name.startswith("prepare"))
        return [file for outputs in files for file in outputs]

    def files(self, job: str, *names: str) -> str:
        """Command-line options for those inputs of a job that there are."""
        inputs = self.job(job).inputs
        chosen = [name for name in names if inputs.get(name)]
        return " ".join(f"--{_dashed(name)} {shlex.join(inputs[name])}" for name in chosen)

    # --------------------------------------------------------------------------- its resources

    def resource(self, rule: str, name: str):
        """A rule's resource; retries ask for more time, up to the longest that there is."""
        value = self.config["resources"][rule][name]
        if name != "runtime":
            return value
        longest = self.config["max_runtime"] or math.inf
        return lambda wildcards, attempt: min(value * attempt, longest)

    def threads(self, what: Stage | Job | str) -> int:
        """Threads of a job; one of what takes seconds."""
        rule = _resource_rule(what)
        return self.config["resources"][rule]["threads"] if rule else 1

    def resources(self, what: Stage | Job | str) -> dict:
        """GPUs, memory and time of a job on one node; none of what takes seconds."""
        rule = _resource_rule(what)
        if rule is None:
            return {}
        asked = {name: self.resource(rule, name) for name in ("gpu", "mem_mb", "runtime")}
        return asked | {"nodes": 1}

    def launcher(self, rule: str) -> str:
        """How to start a training: several GPUs are several processes inside one task, which share
        the task's threads. The lone -- keeps torchrun from reading the script's options as its own.
        """
        gpus = self.config["resources"][rule]["gpu"]
        if gpus <= 1:
            return "$PYTHON"
        share = max(1, self.config["resources"][rule]["threads"] // gpus)
        threads = self.config["cpu_threads"] or share
        settings = " ".join(f"{name}_NUM_THREADS={threads}" for name in LIBRARIES)
        return f"env THREADS={share} {settings} torchrun --standalone --nproc-per-node {gpus} --"

    # -------------------------------------------------------------------------------- stages

    def name(self, stage: Stage) -> str:
        """The name of a stage's jobs, with wildcards."""
        return f"{stage.name}/{{run}}" + ("-{variant}" if stage.variant else "")

    def outputs(self, stage: Stage) -> dict[str, str]:
        """Option -> file that a stage writes, with wildcards; the record comes last."""
        folder = f"{self.graph.places.results}/runs/{{run}}"
        written = {**stage.writes, **stage.beside}
        files = {option: f"{folder}/{name}" for option, name in written.items()}
        return files | {"record": f"{self.graph.places.results}/records/{self.name(stage)}"}

    def priority(self, stage: Stage) -> int:
        """The larger, the earlier it is begun: families of more stages first, or one of their
        chains would be left alone at the end; what is cheap when nothing else can begin."""
        planned = {name.split("/")[0] for name in self.graph.jobs}
        own = (s for s in self.stages if s.family == stage.family and s.name in planned)
        return 0 if stage.modules else len(list(own))

    def params(self, stage: Stage) -> dict:
        """Parameters of a stage. The folder of what an attempt leaves to the next is in its command
        and no output, which Snakemake would delete."""
        return {"digest": self.digest(self.name(stage)), "command": self.command(stage)}

    def constraints(self, stage: Stage) -> dict[str, str]:
        """Wildcards of a stage: runs of its family; a stage of a parent's is for any, in the
        variants that are planned."""
        if stage.role == OWN:
            return {"run": f"{stage.family}/.+"}
        planned = {job.variant for job in self.graph.jobs.values() if job.rule == stage.rule}
        return {"variant": "|".join(map(re.escape, sorted(planned))) or "none"}

    def command(self, stage: Stage) -> Callable:
        """Parameter of a rule: the command line of a stage. Where there may be several processes,
        the shell gives way to it: Slurm signals all processes of a job, so the shell would end at
        once, and with it the job, while the training is still writing its checkpoint."""

        def command(wildcards, input, output) -> str:
            words = [f"$SCRIPTS/{stage.script}.py", *self._reads(stage, input)]
            if stage.work:
                work = "/".join([self.graph.places.results, "checkpoints", wildcards.run])
                words += [f"--{stage.work[0]}", f"{work}/{stage.work[1]}".rstrip("/")]
            for option in stage.writes:
                words += [f"--{_dashed(option)}", output[option]]
            if not stage.processes:
                return f"$PYTHON {_joined(words)}"
            job = self.name(stage).format(**wildcards)
            words += ["--record", output["record"], "--digest", self.graph.digest(job)]
            return f"exec {self.launcher(stage.resources or stage.rule)} {_joined(words)}"

        return command

    def _reads(self, stage: Stage, files) -> list[str]:
        """Options for what a stage reads; the files that a family's scoring reads are NAME=PATH."""
        names = [*stage.reads, *stage.data_files, *(["inception"] if stage.inception else [])]
        options = [name for name in names if stage.script != SCORING or name in SCORED]
        words = []
        for name in options:
            words += [f"--{_dashed(name)}", *_listed(files, name)]
        if stage.script == SCORING:
            others = [name for name in names if name not in SCORED]
            words += ["--files"]
            words += [f"{name}={file}" for name in others for file in _listed(files, name)]
        return words

    # ------------------------------------------------------------------------------- artefacts

    def artefact_command(self, artefact: Artefact) -> Callable:
        """Parameter of a rule: the command line that makes an artefact."""
        job, tier = self.graph.jobs[artefact.job], self.config["tier"]

        def command(wildcards, input, output) -> str:
            if artefact.kind == "analysis":
                words = [f"$SCRIPTS/{artefact.entry['builder']}.py"]
                for name in ("runs", "weights", "files"):
                    words += [f"--{name}", *files] if (files := _listed(input, name)) else []
                for option, value in (artefact.options or {}).items():
                    words += [f"--{_dashed(option)}", *_words(value)]
            else:
                entry = json.dumps(artefact.entry, sort_keys=True)
                words = [f"$SCRIPTS/make_{artefact.kind}.py", "--name", artefact.name]
                words += ["--artefact", entry, "--tier", tier, "--files", *_listed(input, "files")]
                words += ["--runs", *_listed(input, "runs")] if artefact.runs else []
            outputs = [output[option] for option in job.outputs]
            written = outputs[:1] if artefact.kind == "table" else outputs  # others lie beside it
            return f"$PYTHON {_joined([*words, '--out', *written])}"

        return command


def _joined(words: list[str]) -> str:
    """Words as a shell has them; only the first, a script, has a variable of the shell in it."""
    return f"{words[0]} {shlex.join(map(str, words[1:]))}"


def _listed(files, name: str) -> list[str]:
    """The files of a job's input of this name, none where it has no such."""
    found = getattr(files, name, [])
    return [found] if isinstance(found, str) else list(found)


def _resource_rule(what: Stage | Job | str) -> str | None:
    """The rule whose resources a job has; None: seconds of a core."""
    if isinstance(what, str):
        return what
    if isinstance(what, Job):
        return what.resources
    return None if what.local else what.resources or what.rule


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _words(value) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
