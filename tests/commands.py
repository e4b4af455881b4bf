"""Commands that end: each has a time limit, and what it has started ends with it."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

# Seconds. A loaded machine is eight times slower than an idle one. Below the limit of a test in
# pyproject.toml, so that a test that fails for it can say which command it was.
LIMIT = 1500
ROOT = Path(__file__).resolve().parents[1]
# `python -m snakemake` where it is imported already, which takes half of the time of a short call.
WARM = [sys.executable, ROOT / "workflow/scripts/warm_start.py", ROOT / "tests/warm_snakemake.py"]
PRELOADED = "snakemake.cli snakemake.workflow numpy pandas yaml jsonschema scipy.stats"


def snakemake(*arguments, **options) -> subprocess.CompletedProcess:
    """Run Snakemake to its end, with wide lines. options: those of `run`."""
    environment = os.environ | {"COLUMNS": "200", "NOISELAB_PRELOAD": PRELOADED}
    return run([*WARM, *arguments], env=environment, **options)


def run(
    command: Sequence,
    *,
    limit: float = LIMIT,
    check: bool = False,
    input: str | None = None,
    **options,
) -> subprocess.CompletedProcess:
    """Run a command to its end; its standard output and error are captured as text.

    options: those of subprocess.Popen. check: fail, with all it said, unless it exits with 0.
    subprocess.TimeoutExpired: it took longer than `limit` seconds.
    """
    stdin = subprocess.DEVNULL if input is None else subprocess.PIPE
    files = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started(command, **files | {"text": True} | options) as process:
        done = process.communicate(input, timeout=limit)
    result = subprocess.CompletedProcess(process.args, process.returncode, *done)
    assert not check or result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result


@contextlib.contextmanager
def started(command: Sequence, **options) -> Iterator[subprocess.Popen]:
    """A running command in a session of its own; at the end of the block, all of it is killed.

    A child that was left would keep the pipes of its parent open, and whoever reads them waiting.
    """
    process = subprocess.Popen([*map(str, command)], start_new_session=True, **options)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()


def copy_of_the_repository(folder: Path) -> None:
    """Files that git tracks or would track, as they are now; no history."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = run(listing, check=True, cwd=ROOT).stdout
    for name in names.split("\0"):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
