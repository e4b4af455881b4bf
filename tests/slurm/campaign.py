"""Faults at random times in running workflows on the test cluster: is anything lost?

    python tests/slurm/campaign.py --faults 30 --out docs/RELIABILITY_SLURM.md

Workflows of the first study's five families run through Slurm, two at a time, while jobs and
Snakemake are killed and nodes fail. Their results are compared with those in peace.
"""

import argparse
import contextlib
import math
import os
import platform
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

import psutil

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS), str(_TESTS.parent / "workflow" / "scripts")]

from harness import (
    CLUSTER,
    ROOT,
    Workflow,
    is_up,
    jobs,
    planned_runs,
    set_nodes,
    slurm,
    start_cluster,
    until,
)

import commands
from measured_results import differences, results

# All families, at least 25 s of training each, however fast the machine is: 100 rows of history
# of PACE seconds. With a checkpoint every 1.2 s.
PACE = {"NOISELAB_PACE": "0.25"}
OFTEN = {"checkpoint_minutes": 0.02}
SETTINGS = {
    "only": ["table2", "table3", "table1", "figure1_runs", "table9"],
    "experiments": {
        "table2": {"datasets": ["digits"]},
        "table3": {"datasets": ["glyphs-12"]},
    },
    "classifier": {"epochs": 250, **OFTEN},
    "vision_transformer": {"steps": 1500, **OFTEN},
    "diffusion": {"epochs": 250, **OFTEN},
    "language_model": {"steps": 4000, **OFTEN},
    "seq2seq": {"steps": 1300, **OFTEN},
    "resources": {
        f"train_{family}": {"gpu": 1}
        for family in ("classifier", "vision_transformer", "diffusion", "language_model", "seq2seq")
    },
}
RUNS = [
    "classifier/digits/clean-s0",
    "classifier/digits/uniform_label-r1.00-fixed_clean-s0",
    "vision_transformer/glyphs-12/uniform_label-r1.00-fixed_clean-s0",
    "diffusion/digits/uniform_label-r1.00-fixed_clean-s0",
    "language_model/docstrings/uniform_token-r1.00-fixed_clean-b2-s0",
    "seq2seq/code2doc/teacher-s100",
    "seq2seq/code2doc/clean-s0",
    "seq2seq/code2doc/teacher-r1.00-fixed_total-s0",
]
RUNS = planned_runs(SETTINGS, RUNS)
TARGETS = [f"results/smoke/runs/{run}/weights.safetensors" for run in RUNS]
PER_RUN = 4  # faults that one training meets at most in a workflow: the profile has 5 retries


@dataclass
class Attempt:
    """One start of a training: the step of the newest checkpoint when it started, and of the newest
    that there had ever been."""

    run: str
    pid: int
    checkpoint: int
    seen: int
    began: int | None = None  # step; None: it ended before its first step


class Campaign:
    """What is done to one workflow, and what becomes of it."""

    def __init__(self, workflow: Workflow, chance: random.Random, number: int):
        self.workflow, self.chance, self.number = workflow, chance, number
        self.faults: list[tuple[str, float, str]] = []  # kind, second, what it hit
        self.met: Counter = Counter()
        self.seen: Counter = Counter()  # run -> step of the newest checkpoint that it ever had
        self.attempts: dict[int, Attempt] = {}
        self.due: str | None = None  # kind of the next fault
        self.restarts = 0
        self.begin = time.monotonic()
        self.seconds = 0.0

    def run(self, faults: int, seconds: float) -> None:
        """Run the workflow to its end; after `faults` of them it is left in peace."""
        self.workflow.start(*TARGETS)
        due = math.inf
        while True:
            self.watch()
            if math.isinf(due) and self.attempts:
                due = time.monotonic() + self.chance.uniform(2, 10)
            if self.workflow.ended():
                if self.workflow.process.returncode == 0:
                    self.seconds = time.monotonic() - self.begin
                    return
                # A user would look, and start it again.
                self.restarts += 1
                assert self.restarts < 5, self.workflow.log()[-6000:]
                self.workflow.start(*TARGETS)
            if len(self.faults) < faults and time.monotonic() > due and self.inject():
                due = time.monotonic() + self.chance.uniform(3, 12)
            assert time.monotonic() < self.begin + seconds, self.workflow.log()[-6000:]
            time.sleep(0.3)

    def watch(self) -> None:
        """Note new attempts of trainings, and where they begin."""
        for run in RUNS:
            for pid in self.workflow.training(run):
                if pid not in self.attempts:
                    before = self.newest(run, older_than=pid)
                    seen = max(self.seen[run], before)
                    self.attempts[pid] = Attempt(run, pid, before, seen)
                attempt = self.attempts[pid]
                if attempt.began is None:
                    log = self.workflow.training_log(run)
                    if first := re.search(r"(\d+)/\d+ \[00:00", log):
                        attempt.began = int(first.group(1))
            self.seen[run] = max(self.seen[run], self.newest(run))

    def newest(self, run: str, older_than: int | None = None) -> int:
        """Step of the newest checkpoint, of those that are older than a process; 0: there is none.

        A process that is seen for the first time may have written some itself.
        """
        found = self.workflow.checkpoints(run)
        with contextlib.suppress(FileNotFoundError, psutil.NoSuchProcess):  # gone meanwhile
            if older_than:
                begin = psutil.Process(older_than).create_time()
                found = [path for path in found if path.stat().st_mtime < begin]
        return int(found[0].name.split("-")[1]) if found else 0

    def inject(self) -> bool:
        """The fault that is due; whether there was something for it to hit. It waits for a training
        that has begun: what comes before that takes longer here than on a cluster, and would have
        most of the faults."""
        kinds = {
            "scancel of a job": (self.cancel, 4),
            "SIGKILL of a training": (self.kill_training, 4),
            "requeue of a job by Slurm": (self.requeue, 2),
            "node down, later resumed": (self.node_down, 2),
            "SIGKILL of Snakemake, then restart": (self.kill_snakemake, 2),
            "Ctrl-C to Snakemake, then restart": (self.interrupt_snakemake, 1),
        }
        if self.due is None:
            weights = [weight for _, weight in kinds.values()]
            self.due = self.chance.choices(list(kinds), weights)[0]
        if self.workflow.ended() or not any(map(self.begun, RUNS)):
            return False
        hit = kinds[self.due][0]()
        if hit:
            self.faults.append((self.due, time.monotonic() - self.begin, hit))
            print(f"{self.number}: {self.faults[-1][1]:4.0f} s  {self.due}: {hit}", flush=True)
            self.due = None
        return bool(hit)

    def begun(self, run: str) -> bool:
        """Whether a run is being trained, and not only about to be."""
        attempts = [self.attempts.get(pid) for pid in self.workflow.training(run)]
        return any(attempt and attempt.began is not None for attempt in attempts)

    def victim(self) -> str | None:
        """A run that is being trained and has not met too much."""
        found = [r for r in RUNS if self.met[r] < PER_RUN and self.begun(r)]
        if not found:
            return None
        run = self.chance.choice(found)
        self.met[run] += 1
        return run

    def cancel(self) -> str | None:
        if (run := self.victim()) and (job := self.workflow.job(run)):
            slurm("scancel", job["JobId"], check=False)
            return run
        return None

    def kill_training(self) -> str | None:
        if run := self.victim():
            for process in self.workflow.training(run):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
        return run

    def requeue(self) -> str | None:
        if (run := self.victim()) and (job := self.workflow.job(run)):
            slurm("scontrol", "requeue", job["JobId"], check=False)
            return run
        return None

    def node_down(self) -> str | None:
        running = [j for j in jobs(self.workflow.folder).values() if j["JobState"] == "RUNNING"]
        if not running:
            return None
        node = self.chance.choice(running)["NodeList"]
        set_nodes("down", node)
        time.sleep(self.chance.uniform(2, 6))
        self.watch()
        set_nodes("resume", node)
        return f"{sum(job['NodeList'] == node for job in running)} jobs"

    def kill_snakemake(self) -> str:
        self.workflow.kill()
        time.sleep(self.chance.uniform(0, 5))
        self.workflow.start(*TARGETS)
        return "Snakemake"

    def interrupt_snakemake(self) -> str:
        self.workflow.process.send_signal(signal.SIGINT)
        until(lambda: self.watch() or self.workflow.ended(), 120, "end of Snakemake")
        self.workflow.start(*TARGETS)
        return "Snakemake"


def outcome(attempt: Attempt) -> str:
    """How a start of a training began."""
    if attempt.began is None:
        return "ended before"
    if attempt.began:
        return "resumed"
    if attempt.checkpoint:
        return "in spite"
    return "after its end" if attempt.seen else "first"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=30)
    parser.add_argument("--per-workflow", type=int, default=15, help="faults")
    parser.add_argument("--at-once", type=int, default=2, help="workflows")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="markdown; default: standard output")
    parser.add_argument("--keep", type=Path, help="folder for the workflows, which then stay")
    arguments = parser.parse_args()
    before = is_up()
    if reason := start_cluster():
        parser.exit(75, f"{reason}\n")
    try:
        with tempfile.TemporaryDirectory() as temporary:
            for text in campaign(arguments, arguments.keep or Path(temporary)):
                if arguments.out:  # after each workflow
                    arguments.out.write_text(text, encoding="utf-8")
    finally:
        set_nodes("resume", "node1", "node2")
        if not before:
            commands.run([CLUSTER, "stop"], check=True)
    if not arguments.out:
        print(text)


def campaign(arguments, folder: Path) -> Iterator[str]:
    """Run the workflows; yields the report on those so far as markdown."""
    print("the undisturbed workflow", flush=True)
    peace = Workflow(folder / "peace", SETTINGS)
    begin = time.monotonic()
    if not all((peace.folder / target).exists() for target in TARGETS):
        peace.run(*TARGETS, slurm=False, seconds=3600)
    print(f"{time.monotonic() - begin:6.0f} s", flush=True)
    expected = of_runs(peace)
    done, lost, different = [], [], []
    count = -(-arguments.faults // arguments.per_workflow)

    def disturb(number: int) -> Campaign:
        workflow = Workflow(folder / f"disturbed-{arguments.seed}-{number}", SETTINGS, PACE)
        # Data are prepared: it is trainings that take long, and are worth to be hit.
        shutil.copytree(peace.results / "data", workflow.results / "data")
        one = Campaign(workflow, random.Random(f"{arguments.seed}-{number}"), number)
        left = arguments.faults - number * arguments.per_workflow
        try:
            one.run(min(left, arguments.per_workflow), seconds=3600)
        finally:
            workflow.stop()
        return one

    with ThreadPoolExecutor(arguments.at_once) as pool:
        for one in pool.map(disturb, range(count)):
            done.append(one)
            found = of_runs(one.workflow)
            lost += [f"{one.number}: {name}" for name in expected.keys() - found.keys()]
            wrong = differences(expected, found)
            different += [f"{one.number}: {name}" for name in wrong if name in found]
            starts = dict(Counter(map(outcome, one.attempts.values())))
            print(f"lost {lost}, different {different}, starts {starts}", flush=True)
            yield report(arguments, done, len(expected), lost, different)


def of_runs(workflow: Workflow) -> dict[str, object]:
    """Results of the trainings."""
    found = results(workflow.results)
    return {n: v for n, v in found.items() if n.startswith(tuple(f"runs/{r}/" for r in RUNS))}


# What docs/RELIABILITY_SLURM.md says.
PAGE = """# Reliability on Slurm

What becomes of results when jobs, nodes and Snakemake are killed. Written by
`tests/slurm/campaign.py`: faults at random times, from a seed, in running workflows of tier `smoke`
that train the five families of the first study through a real Slurm. A fault waits for a
training that makes steps.

| | |
|---|---:|
| workflows | {workflows} |
| trainings wanted | {wanted} |
| faults injected | {faults} |
| starts of trainings | {starts} |
| results lost, of {files} files | {lost} |
| results that differ from those of an undisturbed run | {different} |
| trainings begun again although there was a checkpoint | {in_spite} |
| workflows that ended with an error and were started again | {restarts} |

Results are weights, histories, predictions, decoded targets and summaries, compared to the last
bit with a local run that nothing disturbed; times and facts of the machine are left out.

| fault | injected |
|---|---:|
{rows}

How each start of a training began:

| family | at step 0, the first | from a checkpoint | ended before | anew after its end | anew by \
mistake |
|---|---:|---:|---:|---:|---:|
{families}

A fault may hit several trainings (a node, Snakemake) or none (a job that has just ended). What a
training had done since its last checkpoint is done again: nothing after a SIGTERM, which comes
before `scancel`, time limits and most preemptions; up to `checkpoint_minutes` after a SIGKILL. The
first: no earlier attempt had come to a checkpoint. Anew after its end: hit in the second or two in
which the training had ended and removed its checkpoints, but Snakemake had not taken note.

## Faults of others that came to light

- Snakemake's Slurm plugin 2.8 waits for ever for a job that somebody cancelled: it does not know
  the state `CANCELLED by 1000`. After a node has failed it excludes a node called `None assigned`,
  which sbatch refuses. Both are mended here (`workflow/scripts/noiselab/planning/slurm.py`).
- While Snakemake asks a scheduler about its jobs, Ctrl-C cancels none of them. Mended here, for the
  other clusters, too (`workflow/scripts/noiselab/planning/executors.py`).
- The plugin's removal of old log files takes the folders of jobs that still wait, so it is off
  (`slurm/config.yaml`).
- Snakemake 9.27 that gets a SIGTERM in the moment in which it notes the end of a job waits for a
  lock that it holds itself. In a job, Slurm ends it by SIGKILL; on the login node, do the same.
  Nothing is lost by it.

## Where and when

{date}, {minutes:.0f} minutes. {cores} CPU cores without a GPU, which
Slurm {slurm} took for two nodes of four cores and two GPUs each
(`tests/slurm/cluster.sh`). Python {python}, {versions}; revision {revision}.

## Again

As root, on Debian:

```sh
python tests/slurm/campaign.py --faults {asked} --seed {seed} \
--out docs/RELIABILITY_SLURM.md
make test-slurm     # each of them once, a full disk, a damaged checkpoint and a time limit too
```

Times differ from run to run, and so does what is hit.
"""


def report(arguments, done: list[Campaign], results_each: int, lost: list, different: list) -> str:
    """The campaign as markdown."""
    kinds: Counter = Counter()
    for one in done:
        kinds.update(kind for kind, _, _ in one.faults)
    attempts = [attempt for one in done for attempt in one.attempts.values()]
    by_family = defaultdict(Counter)
    for attempt in attempts:
        by_family[attempt.run.split("/")[0].replace("_", " ")][outcome(attempt)] += 1
    total = sum((counts for counts in by_family.values()), Counter())
    minutes = sum(one.seconds for one in done) / 60 / arguments.at_once
    names = ("snakemake", "snakemake-executor-plugin-slurm", "torch")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    rows = [f"| {kind} | {count} |" for kind, count in sorted(kinds.items())]
    columns = ("first", "resumed", "ended before", "after its end", "in spite")
    families = [
        f"| {family} | {' | '.join(str(counts[c]) for c in columns)} |"
        for family, counts in [*sorted(by_family.items()), ("**all**", total)]
    ]
    values = {
        "workflows": len(done),
        "wanted": len(done) * len(RUNS),
        "faults": sum(kinds.values()),
        "starts": len(attempts),
        "files": len(done) * results_each,
        "lost": len(lost),
        "different": len(different),
        "in_spite": total["in spite"],
        "restarts": sum(one.restarts for one in done),
        "rows": "\n".join(rows),
        "families": "\n".join(families),
        "minutes": minutes,
        "versions": versions,
        "asked": arguments.faults,
        "seed": arguments.seed,
    }
    return PAGE.format(**values, **machine())


def machine() -> dict:
    """When and where, for the page."""
    return {
        "date": f"{date.today():%d %B %Y}",
        "cores": os.cpu_count(),
        "slurm": slurm_version(),
        "python": platform.python_version(),
        "revision": revision(),
    }


def slurm_version() -> str:
    return slurm("sinfo", "--version").split()[-1]


def revision() -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]
    return commands.run(command).stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
