"""Workflows on the test cluster, and how to disturb them."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from commands import run
from noiselab.planning import config, project

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "tests" / "slurm" / "cluster.sh"
GATE = ROOT / "tests" / "gate"  # makes trainings wait for their faults
IMPOSSIBLE = 75  # status of cluster.sh where there can be no cluster
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
TRAININGS = ["classifier", "vision_transformer", "diffusion", "language_model", "seq2seq"]
ONE_GPU = {f"train_{family}": {"gpu": 1} for family in TRAININGS}
# What a test would have to wait for; all else is as users have it.
QUICKLY = ["--slurm-init-seconds-before-status-checks", "3", "--max-status-checks-per-second", "1"]
QUICKLY += ["--latency-wait", "20"]
# Waits are this much longer than on two idle cores.
PATIENCE = float(os.environ.get("NOISELAB_PATIENCE", 1))


def planned_runs(settings: dict, names: list[str]) -> list[str]:
    """Ids of these runs under settings of a test's own: where such a run is not as the tier has it,
    its name has an addition."""
    plan = project.plan(config.load(settings, tier="smoke"), "results/smoke").graph.plan
    return [next(r for r in plan.runs if r == n or r.startswith(f"{n}-o")) for n in names]


def until(condition, seconds: float, what: str):
    """Wait for a true value of `condition` and return it."""
    deadline = time.monotonic() + seconds * PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"no {what} within {seconds} s"
        time.sleep(0.3)
    return value


def slurm(*command: str, check: bool = True) -> str:
    """Output of a Slurm command."""
    result = run(command, limit=120 * PATIENCE)
    assert not check or result.returncode == 0, f"{command}: {result.stderr}"
    return result.stdout


def jobs(folder: Path | None = None) -> dict[str, dict]:
    """Jobs that Slurm knows of, submitted from `folder`: number -> what scontrol says."""
    found = {}
    for line in slurm("scontrol", "--oneliner", "show", "job", check=False).splitlines():
        job = dict(re.findall(r"(\S+?)=(\S*)", line))
        if "JobId" in job and (folder is None or job.get("WorkDir") == str(folder)):
            found[job["JobId"]] = job
    return found


def set_nodes(state: str, *nodes: str) -> None:
    """Drain, down or resume nodes; resuming a node that is up is no error."""
    for node in nodes:
        command = ["scontrol", "update", f"nodename={node}", f"state={state}"]
        slurm(*command, *(["reason=test"] if state != "resume" else []), check=state != "resume")


class Workflow:
    """A folder in which Snakemake runs, as its users start it."""

    def __init__(self, folder: Path, settings: dict, environment: dict | None = None):
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.results = self.folder / "results" / "smoke"
        self.settings = self.folder / "settings.yaml"
        self.settings.write_text(json.dumps({"tier": "smoke"} | settings))
        self.environment = environment or {}  # of what runs on Slurm
        self.process: subprocess.Popen | None = None
        self.logs: list[Path] = []

    def start(self, *targets: str, slurm: bool = True, options=()) -> None:
        """Start Snakemake in a session of its own, on Slurm or here."""
        where = ["--profile", str(ROOT / "slurm" if slurm else ROOT / "profiles" / "default")]
        where += QUICKLY if slurm else ["--cores", "2"]
        command = [*SNAKEMAKE, *where, "--configfile", str(self.settings), *options]
        command += ["--", *map(str, targets)] if targets else []
        path = os.pathsep.join(filter(None, [str(GATE), os.environ.get("PYTHONPATH")]))
        environment = self.environment | {"PYTHONPATH": path} if slurm else {}
        self.logs.append(self.folder / f"snakemake-{len(self.logs)}.log")
        with open(self.logs[-1], "w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=os.environ | environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                # A shell starts what runs in its background with SIGINT ignored.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def finish(self, seconds: float) -> None:
        """Wait for Snakemake to end, and that well."""
        try:
            code = self.process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            code = "none"
        assert code == 0, f"exit code {code}\n{self.log()[-6000:]}"

    def run(self, *targets: str, seconds: float = 600, **options) -> None:
        self.start(*targets, **options)
        self.finish(seconds)

    def kill(self) -> None:
        """SIGKILL to Snakemake and what it runs here, and remove its lock; Slurm's jobs go on."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60 * PATIENCE)
        self.unlock()

    def unlock(self) -> None:
        command = [*SNAKEMAKE, "--cores", "1", "--configfile", str(self.settings), "--unlock"]
        run(command, cwd=self.folder, check=True)

    def stop(self) -> None:
        """End everything, whatever state it is in."""
        if not self.ended():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(60 * PATIENCE)
        left = [number for number, job in jobs(self.folder).items() if active(job)]
        if left:
            slurm("scancel", *left, check=False)
        # The cluster of the tests has no cgroups: what a job leaves behind goes on.
        for pid, _ in processes(self.folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def log(self) -> str:
        """What all Snakemakes have said."""
        return "".join(path.read_text() for path in self.logs)

    def run_folder(self, run: str) -> Path:
        return self.results / "runs" / run

    def close_gate(self, run: str, checkpoints: int = 2) -> None:
        """From now on, the training of a run waits when it has so many checkpoints."""
        gate = self.gate(run)
        gate.parent.mkdir(parents=True, exist_ok=True)
        gate.write_text(str(checkpoints))

    def open_gate(self, run: str) -> None:
        """The training of a run waits no more."""
        self.gate(run).unlink()

    def gate(self, run: str) -> Path:
        return self.results / "checkpoints" / run / "gate"

    def held(self, run: str) -> list[int]:
        """Processes of a training that waits at its gate; none: it has not come there yet."""
        marker = self.gate(run).with_name("held")
        trainings = self.training(run)
        return trainings if marker.exists() and int(marker.read_text() or 0) in trainings else []

    def wait_for_end(self, run: str, trainings: list[int], seconds: float) -> None:
        """Wait until these processes train the run no more."""
        ended = lambda: not set(trainings) & set(self.training(run))  # noqa: E731
        until(ended, seconds, f"end of the training {run}")

    def checkpoints(self, run: str) -> list[Path]:
        """Checkpoints of a run, newest first."""
        found = self.results.glob(f"checkpoints/{run}/*/step-*.pt")
        return sorted(found, key=lambda path: path.name, reverse=True)

    def training_log(self, run: str) -> str:
        path = self.results / "logs" / "train" / f"{run}.log"
        return path.read_text() if path.exists() else ""

    def resumed_at(self, run: str) -> int:
        """Step at which the latest attempt of a training began."""
        first = re.search(r"(\d+)/\d+ \[00:00", self.training_log(run))
        return int(first.group(1)) if first else 0

    def training(self, run: str) -> list[int]:
        """Processes that train a run."""
        path = f"results/smoke/runs/{run}/run.json"
        script = str(ROOT / "workflow" / "scripts" / "train.py")
        return [pid for pid, words in processes(self.folder) if {script, path} <= {*words}]

    def job(self, run: str) -> dict | None:
        """The active job of a run's training."""
        comment = f"_wildcards_{run.replace('/', '_')}"
        found = [
            job
            for job in jobs(self.folder).values()
            if active(job) and re.fullmatch(f"rule_train_.*{comment}", job.get("Comment", ""))
        ]
        return found[-1] if found else None


def active(job: dict) -> bool:
    return job["JobState"] in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED")


def processes(folder: Path) -> list[tuple[int, list[str]]]:
    """(number, command line) of processes that work in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended
            words = (entry / "cmdline").read_text().split("\0")
            if os.readlink(entry / "cwd") == str(folder):
                found.append((int(entry.name), words))
    return found


# ------------------------------------------------------------------------------ the cluster


def is_up() -> bool:
    """Whether a Slurm answers."""
    found = shutil.which("scontrol")
    return bool(found) and run([found, "ping"]).returncode == 0


def start_cluster() -> str | None:
    """Bring the cluster up; returns why not, where there can be none."""
    if shutil.which("bash") is None:
        return "no Slurm for tests here: no bash"
    result = run([CLUSTER, "start"], limit=1800)  # it may have to install the packages
    if result.returncode == IMPOSSIBLE:
        return result.stderr.strip().splitlines()[-1]
    assert result.returncode == 0, result.stdout + result.stderr
    return None
