"""Makes a training wait for its fault, however fast the machine is, with no code in the product.

Python reads this file when it starts, as its folder is on PYTHONPATH. Where the folder
of a run's checkpoints has a file `gate` with a number in it, the training stops at a row of its
history as soon as it has that many checkpoints, and says so in a file `held`. It goes on when the
gate is gone, or when a signal asks it to stop. $NOISELAB_PACE: seconds that a row takes at least.
"""

import os
import select
import signal
import sys
import time
from pathlib import Path

PACE = float(os.environ.get("NOISELAB_PACE", 0))
DUE = 0.7  # seconds after which a checkpoint is due: more than `checkpoint_minutes` of the tests
STOP = {signal.SIGTERM, signal.SIGUSR1}


def watch(event: str, arguments: tuple) -> None:
    """Called by Python before each thing of note; here, before a row is added to a history."""
    if event == "open" and arguments[1] == "a" and str(arguments[0]).endswith("/history.jsonl"):
        time.sleep(PACE)
        checkpoints = Path(arguments[0]).parent
        hold(checkpoints.parent, checkpoints)


def hold(run: Path, checkpoints: Path) -> None:
    """Wait at the gate of a run, if it is closed and the training has come to it."""
    wanted = number(run / "gate")
    if wanted is None:
        return
    if len(list(checkpoints.glob("step-*.pt"))) < wanted:
        time.sleep(DUE)  # the next checkpoint is written after this step
        return
    (run / "held").write_text(str(os.getpid()))
    wait(run / "gate")


def number(gate: Path) -> int | None:
    """Checkpoints that a training must have to be held; None: the gate is open."""
    try:
        return int(gate.read_text())
    except FileNotFoundError:
        return None


def wait(gate: Path) -> None:
    """Wait until the gate is open, or a signal has come. Python's handlers run meanwhile."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer)
    while gate.exists():
        if select.select([reader], [], [], 0.1)[0] and STOP & set(os.read(reader, 64)):
            break
    signal.set_wakeup_fd(before)
    time.sleep(DUE)  # so that a training that goes on writes a checkpoint next


sys.addaudithook(watch)
