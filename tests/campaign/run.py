"""Random faults in a local workflow: is anything lost, stale or different at the end?

    python tests/campaign/run.py --faults 100 --seed 0 --out docs/results/campaign

A small workflow of three studies is called again and again, as a user would, while processes
are killed, disks are full and files are damaged. What it has made is compared with the same
workflow in peace. A seed gives the same faults in the same order after the same waits; what they
hit depends on how fast the machine is. Exit code 1: something was lost, stale or different.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_TESTS), str(_TESTS.parent / "workflow" / "scripts")]

from campaign.faults import FAULTS, WRONG, Scene, obeys_modes, own_disk
from campaign.memory import SAMPLED, growth, sampled, written
from campaign.workflow import LIMIT, TARGETS, Workflow, faults_of
from commands import run

INSIDE = "NOISELAB_CAMPAIGN_INSIDE"
# A mount namespace of a user's own, without root's right to write into read-only folders.
NAMESPACE = ["unshare", "--map-root-user", "--mount"]
NAMESPACE += ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
DISK = 64  # MiB: ten times what the workflow writes
WAITS = (0.2, 4.0)  # seconds from the first job, or from the last fault, to the next
EARLY = 0.15  # share of faults that do not wait for a job
AT_REST = 0.7  # share of damaged files that are damaged after the end of the workflow
STARTS = 3  # calls that may fail, that which the fault met among them; then somebody has to help
RARE = {"SIGKILL of the server of warm starts"}  # a new one takes long


class Campaign:
    """Faults in a workflow, and what becomes of it. expected: answers and measurements in peace."""

    out: Path | None = None  # folder for csv files, which are written after each fault

    def __init__(
        self, scene: Scene, expected: tuple[dict, dict], skipped: dict[str, str], seed: int = 0
    ):
        self.scene, self.workflow, self.expected = scene, scene.workflow, expected
        self.seed = seed  # of waits
        self.helped = -1  # faults when somebody had to help last
        self.skipped = skipped  # kinds of faults that cannot be tried here -> why
        self.noted = 0  # the last call of Snakemake whose end was noted
        self.log: list[dict] = []  # a row per fault
        self.samples: list[dict] = []
        self.wrong: list[str] = []
        self.checks = self.failed = 0  # finished workflows; calls that failed since the last fault
        self.begin = time.monotonic()
        self.sampled = 0.0

    def run(self, kinds: list[str]) -> None:
        """Inject these faults, then let the workflow end."""
        for kind in kinds:
            for _ in range(STARTS):  # there may have been nothing to hit
                if self.inject(kind):
                    break
            self.write()
        self.finish()
        self.check()
        self.write()

    def inject(self, kind: str) -> bool:
        """One fault; whether it hit something."""
        function, running = FAULTS[kind]
        chance = random.Random(f"{self.seed} {len(self.log)}")  # whatever faults have drawn
        rest = not running and chance.random() < AT_REST
        early = chance.random() < EARLY
        wait = chance.uniform(*WAITS)
        if rest:
            self.finish()
            self.check()
        else:
            self.reach(wait, early)
        if not rest and not self.workflow.running():
            return False
        seconds = time.monotonic() - self.begin
        try:
            hit = function(self.scene)
        except FileNotFoundError:  # the workflow was faster
            hit = None
        if hit:
            self.failed = 0
            if self.log and not self.log[-1]["then"]:
                self.log[-1]["then"] = "went on"
            moment = "at rest" if rest else "running"
            row = {"number": len(self.log) + 1, "second": round(seconds, 1), "kind": kind}
            self.log.append(row | {"moment": moment, "hit": hit, "then": "", "calls": 0})
            print(f"{row['number']:4} {seconds:6.0f} s  {kind} ({moment}): {hit}", flush=True)
            if hit in WRONG:
                self.wrong.append(f"fault {row['number']}, {kind}: {hit}")
        return bool(hit)

    # ---------------------------------------------------------------------- calls of Snakemake

    def reach(self, wait: float, early: bool) -> None:
        """Have a workflow run that has something to do, for a while."""
        if not self.workflow.running():
            if self.workflow.process is not None:
                self.note()
            if self.done():
                self.check()
                self.workflow.forget()
            self.call()
        limit = time.monotonic() + LIMIT
        while not early and self.workflow.running() and not self.workflow.jobs():
            self.look()
            if time.monotonic() > limit:
                return self.await_end()
        end = time.monotonic() + wait
        while self.workflow.running() and time.monotonic() < end:
            self.look()

    def finish(self) -> None:
        """Call the workflow until it ends well."""
        while True:
            if self.workflow.running():
                self.await_end()
            if self.workflow.process is not None:
                self.note()
                if self.done():
                    return
            self.call()

    def done(self) -> bool:
        """Whether the last call ended well, and began after the last fault: what is damaged while
        Snakemake runs may be out of its sight."""
        process = self.workflow.process
        seen = not self.log or self.log[-1]["calls"]
        return process is not None and process.returncode == 0 and bool(seen)

    def call(self) -> None:
        """Start Snakemake once more; help where it failed again and again."""
        if self.failed >= STARTS:
            self.help()
        self.workflow.start()
        if self.log:
            self.log[-1]["calls"] += 1

    def help(self) -> None:
        """Remove everything, as somebody would who knows no better. RuntimeError: that was done
        already, and it still does not work."""
        if self.helped == len(self.log):
            raise RuntimeError(f"the workflow does not work at all, see {self.workflow.log}")
        self.helped = len(self.log)
        last = self.log[-1] if self.log else {"number": 0, "kind": "nothing"}
        self.wrong.append(f"stuck after fault {last['number']}, {last['kind']}")
        print(f"{self.wrong[-1]}\n{self.workflow.log.read_text()[-4000:]}", flush=True)
        self.workflow.forget()
        shutil.rmtree(self.workflow.folder / ".snakemake", ignore_errors=True)
        self.failed = 0

    def await_end(self) -> None:
        """Until Snakemake has ended, which it must within a limit."""
        while self.workflow.running():
            self.look()
            if time.monotonic() - self.workflow.started > LIMIT:
                self.wrong.append(f"Snakemake hangs after fault {len(self.log)}")
                print(self.wrong[-1], flush=True)
                self.workflow.kill()

    def note(self) -> None:
        """What the last call of Snakemake came to, beside the last fault."""
        code = self.workflow.process.returncode
        if self.log and not self.log[-1]["then"]:
            said = f"ended with {code}" if code >= 0 else f"ended by signal {-code}"
            self.log[-1]["then"] = said if code else "went on"
        self.failed += code != 0 and self.noted != self.workflow.starts
        self.noted = self.workflow.starts

    def look(self) -> None:
        """Wait a moment; now and then, note the memory of Snakemake and of the warm server."""
        time.sleep(0.1)
        if time.monotonic() - self.sampled < SAMPLED:
            return
        self.sampled = time.monotonic()
        watched = {"snakemake": [self.workflow.process.pid]}
        watched["server of warm starts"] = [server.pid for server in self.workflow.servers()[:1]]
        for name, pids in watched.items():
            for pid in pids:
                try:
                    now = sampled(psutil.Process(pid))
                except psutil.NoSuchProcess:
                    continue
                if not now:
                    continue
                row = {"second": round(self.sampled - self.begin, 1), "process": name, "pid": pid}
                self.samples.append(row | {"call": self.workflow.starts} | now)

    # ------------------------------------------------------------------------------- verdicts

    def check(self) -> None:
        """Compare what was finished with the workflow in peace."""
        self.workflow.settle()
        self.checks += 1
        found = faults_of(self.workflow, *self.expected)
        print(f"     check {self.checks}: {found or 'as in peace'}", flush=True)
        self.wrong += [f"after fault {len(self.log)}: {text}" for text in found]

    def write(self) -> None:
        """What has happened so far, as csv files."""
        if self.out and self.log and self.samples:
            written(self.out / "faults.csv", self.log)
            written(self.out / "summary.csv", self.summary())
            written(self.out / "memory.csv", self.samples)

    def summary(self) -> list[dict]:
        """Rows of kind, count: faults by kind, then what became of the workflow."""
        kinds = Counter(row["kind"] for row in self.log)
        rows = [{"what": k, "count": kinds[k], "note": self.skipped.get(k, "")} for k in FAULTS]
        stuck = sum("stuck" in text or "hangs" in text for text in self.wrong)
        totals = {
            "faults": len(self.log),
            "calls of Snakemake": self.workflow.starts,
            "finished workflows compared": self.checks,
            "lost, stale or different": len(self.wrong) - stuck,
            "stuck": stuck,
            "minutes": round((time.monotonic() - self.begin) / 60, 1),
        }
        totals |= growth(self.samples)
        return rows + [{"what": what, "count": n, "note": ""} for what, n in totals.items()]


# ------------------------------------------------------------------------------------ the whole


def sequence(kinds: list[str], count: int, chance: random.Random) -> list[str]:
    """Kinds of `count` faults in random order: all of them in turn, those of RARE in one turn of
    three."""
    found: list[str] = []
    while len(found) < count:
        turn = [kind for kind in kinds if kind not in RARE or not chance.randrange(3)]
        found += chance.sample(turn, len(turn))
    return found[:count]


@contextmanager
def ended(workflow: Workflow) -> Iterator[Workflow]:
    """A workflow of which nothing runs after the block, nor its server; nor has it a disk."""
    try:
        yield workflow
    finally:
        workflow.kill()
        for server in workflow.servers():
            with suppress(psutil.Error):
                server.kill()
        if workflow.folder.is_mount():
            run(["umount", "--lazy", workflow.folder])


def in_peace(workflow: Workflow) -> tuple[dict, dict]:
    """Answers and measurements of an undisturbed workflow."""
    done = workflow.call()
    assert done.returncode == 0, done.stdout + done.stderr
    answers, measured = workflow.answers(), workflow.measured()
    assert answers
    assert measured
    assert not faults_of(workflow, answers, measured)
    return answers, measured


def possible(scene: Scene, folder: Path) -> dict[str, str]:
    """Kinds of faults that cannot be tried here -> why. The workflow gets a disk of its own."""
    scene.full = INSIDE in os.environ and own_disk(scene.workflow.folder, DISK)
    if obeys_modes(folder):
        return {}
    return {"a read-only folder": "skipped: this user may write into any folder"}


def enter_namespace() -> None:
    """Run once more where small disks can be mounted and read-only folders are such, if allowed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # what was started ends, too
    there = all(map(shutil.which, ("unshare", "setpriv", "mount")))
    if INSIDE not in os.environ and there and run([*NAMESPACE, "true"]).returncode == 0:
        os.environ[INSIDE] = "1"
        os.execvp(NAMESPACE[0], [*NAMESPACE, sys.executable, *sys.argv])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=FAULTS, default=list(FAULTS), metavar="KIND")
    parser.add_argument("--targets", nargs="+", default=TARGETS)
    parser.add_argument("--out", type=Path, help="folder for faults.csv, summary.csv, memory.csv")
    parser.add_argument("--keep", type=Path, help="folder for the workflows, which then stay")
    arguments = parser.parse_args()
    enter_namespace()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.keep or Path(temporary)).resolve()
        places = [folder / name for name in ("peace", "disturbed")]
        peace, workflow = (Workflow(p, folder / "tmp", tuple(arguments.targets)) for p in places)
        with ended(workflow):
            print("the workflow in peace", flush=True)
            expected = in_peace(peace)
            scene = Scene(workflow, random.Random(arguments.seed))
            skipped = possible(scene, folder)
            campaign = Campaign(scene, expected, skipped, arguments.seed)
            campaign.out = arguments.out
            kinds = [kind for kind in arguments.kinds if kind not in skipped]
            print(f"a disk of its own: {scene.full}; {skipped}", flush=True)
            campaign.run(sequence(kinds, arguments.faults, scene.chance))
    for text in campaign.wrong or ["nothing lost, nothing stale, all as in peace"]:
        print(text)
    sys.exit(bool(campaign.wrong))


if __name__ == "__main__":
    main()
