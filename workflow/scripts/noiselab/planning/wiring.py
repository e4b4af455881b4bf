"""What the rules are made of: patterns of files, input functions, resources and command lines.

Rules in rules/ loop over stages and artefacts and ask here.
"""

import json
import math
import shlex
from collections.abc import Callable, Iterable
from functools import partial

from noiselab.errors import NoiselabError
from noiselab.families import stages
from noiselab.families.descriptor import OWN, Stage
from noiselab.planning import current
from noiselab.planning.artefacts import Artefact
from noiselab.planning.graph import Graph, Job

RECORD = "printf '%s\\n' {params.digest} > {output.record:q}"
LOGGED = "> {log:q} 2>&1"


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
        """The content of a job as JSON, to be written to a file."""
        return json.dumps(self.job(name).content, indent=2, sort_keys=True)

    def flags(self, name: str) -> str:
        """The content of a job as command-line flags: those that are true."""
        return " ".join(f"--{key}" for key, value in self.job(name).content.items() if value)

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
        threads = max(1, self.config["resources"][rule]["threads"] // gpus)
        return f"env OMP_NUM_THREADS={threads} torchrun --standalone --nproc-per-node {gpus} --"

    # -------------------------------------------------------------------------------- stages

    def name(self, stage: Stage) -> str:
        """The name of a stage's jobs, with wildcards."""
        return f"{stage.name}/{{run}}" + ("-{variant}" if stage.variants else "")

    def outputs(self, stage: Stage) -> dict[str, str]:
        """Option -> file that a stage writes, with wildcards; the record comes last."""
        folder = f"{self.graph.places.results}/runs/{{run}}"
        files = {option: f"{folder}/{name}" for option, name in stage.writes.items()}
        return files | {"record": f"{self.graph.places.results}/records/{self.name(stage)}"}

    def params(self, stage: Stage) -> dict:
        """Parameters of a stage's command. What an attempt leaves to the next is no output, for
        Snakemake would delete it."""
        params: dict = {"digest": self.digest(self.name(stage))}
        if stage.processes:
            params["launcher"] = self.launcher(stage.resources or stage.rule)
        if stage.work:
            parts = (self.graph.places.results, "checkpoints", "{run}", stage.work[1])
            params["work"] = partial(_filled, "/".join(filter(None, parts)))
        return params

    def constraints(self, stage: Stage) -> dict[str, str]:
        """Wildcards of a stage: runs of its family; a stage of a parent's is for any."""
        if stage.role == OWN:
            return {"run": f"{stage.family}/.+"}
        return {"variant": "|".join(stage.variants)}

    def command(self, stage: Stage) -> str:
        """A stage's command line. Where there may be several processes, the shell gives way to it:
        Slurm signals all processes of a job, so the shell would end at once, and with it the job,
        while the training is still writing its checkpoint."""
        reads = [*stage.reads, *stage.data_files, *(["inception"] if stage.inception else [])]
        options = [f"--{_dashed(name)} {{input.{name}:q}}" for name in reads]
        options += [f"--{stage.work[0]} {{params.work:q}}"] if stage.work else []
        options += [f"--{_dashed(name)} {{output.{name}:q}}" for name in stage.writes]
        script = f"$SCRIPTS/{stage.script}.py {' '.join(options)}"
        if stage.processes:
            kept = "--record {output.record:q} --digest {params.digest}"
            return f"exec {{params.launcher}} {script} {kept} {LOGGED}"
        return f"$PYTHON {script} {LOGGED} && {RECORD}"

    # ------------------------------------------------------------------------------- artefacts

    def options(self, artefact: Artefact) -> str:
        """Command-line options of an analysis."""
        options = artefact.options or {}
        return " ".join(f"--{_dashed(key)} {_words(value)}" for key, value in options.items())

    def entry(self, artefact: Artefact) -> str:
        """The entry of an artefact as JSON, for the command line."""
        return json.dumps(artefact.entry, sort_keys=True)

    def artefact_command(self, artefact: Artefact) -> str:
        """The command line that makes an artefact."""
        job = self.graph.jobs[artefact.job]
        outputs = [f"{{output.{name}:q}}" for name in job.outputs]
        if artefact.kind == "analysis":
            reads = [name for name in ("runs", "weights") if job.inputs.get(name)]
            options = [f"--{name} {{input.{name}:q}}" for name in reads] + ["{params.options}"]
            script = artefact.entry["builder"]
        else:
            options = ["--name {params.name}", "--artefact {params.entry:q}"]
            options += ["--files {input.files:q}", "--tier {params.tier}"]
            options += ["--runs {input.runs:q}"] if artefact.runs else []
            script = f"make_{artefact.kind}"
            outputs = outputs[:1] if artefact.kind == "table" else outputs
        command = f"$PYTHON $SCRIPTS/{script}.py {' '.join(options)} --out {' '.join(outputs)}"
        return f"{command} {LOGGED} && {RECORD}"


def _resource_rule(what: Stage | Job | str) -> str | None:
    """The rule whose resources a job has; None: seconds of a core."""
    if isinstance(what, str):
        return what
    if isinstance(what, Job):
        return what.resources
    return None if what.local else what.resources or what.rule


def _filled(pattern: str, wildcards) -> str:
    return pattern.format(**wildcards)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _words(value) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
