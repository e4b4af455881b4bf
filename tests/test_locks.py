"""One training of a run at a time."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from commands import started
from noiselab.training import locks


def held(folder, monkeypatch):
    """What `exclusive` yields to a second one that comes while a first holds the folder."""
    monkeypatch.setattr(locks, "EVERY", 0.01)
    found, inside, leave = [], threading.Event(), threading.Event()

    def first():
        with locks.exclusive(folder) as waited:
            found.append(("first", waited))
            inside.set()
            leave.wait(30)
            found.append(("first leaves", None))

    def second():
        with locks.exclusive(folder) as waited:
            found.append(("second", waited))

    threads = [threading.Thread(target=each, daemon=True) for each in (first, second)]
    threads[0].start()
    assert inside.wait(30)
    threads[1].start()
    threads[1].join(0.2)
    leave.set()
    for thread in threads:
        thread.join(30)
    return found


def test_the_second_waits_for_the_first(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run" / "checkpoints"
    assert held(folder, monkeypatch) == [
        ("first", False),
        ("first leaves", None),
        ("second", True),
    ]
    assert capsys.readouterr().out.count("another process trains this") == 1
    assert not list(folder.iterdir())


HOLDER = """
import sys, time
from pathlib import Path
from noiselab.training import locks
with locks.exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_killed_process_holds_nothing(tmp_path):
    options = {
        "env": os.environ | {"PYTHONPATH": str(Path(locks.__file__).parents[2])},
        "stdout": subprocess.PIPE,
    }
    with started([sys.executable, "-c", HOLDER, tmp_path], **options, text=True) as process:
        assert process.stdout.readline() == "held\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
    assert (tmp_path / "lock").exists()
    with locks.exclusive(tmp_path) as waited:
        assert not waited


def test_a_file_system_without_locks_is_none_to_wait_for(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", refused)
    with locks.exclusive(tmp_path) as waited, locks.exclusive(tmp_path) as again:
        assert (waited, again) == (False, False)
