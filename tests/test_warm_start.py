"""A script started warm behaves as started cold, and nothing is left behind."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands import LIMIT, run
from helpers import small_run
from noiselab.data import prepared
from noiselab.data.embedded import digits
from noiselab.files import write_json

SCRIPTS = Path(__file__).resolve().parents[1] / "workflow" / "scripts"
WARM = (sys.executable, str(SCRIPTS / "warm_start.py"))
COLD = (sys.executable,)
NEVER = sys.platform != "linux" or any(map(os.path.exists, ("/dev/nvidiactl", "/dev/kfd")))
pytestmark = pytest.mark.skipif(NEVER, reason="always cold here")


@pytest.fixture(autouse=True)
def interruptible():
    """A shell starts what runs in its background with SIGINT ignored, nohup with SIGHUP, and so all
    that follows."""
    handlers = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder for scripts and, below `tmp`, for servers, which end with the test."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("NOISELAB_PRELOAD", "json numpy")
    yield tmp_path
    for pid in servers(tmp_path):
        os.kill(pid, signal.SIGKILL)
    assert until(lambda: not servers(tmp_path))


def servers(place) -> list[int]:
    """Numbers of the servers that run: they lead a session and work in their own folder."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        pid = int(link.parent.name)
        with contextlib.suppress(OSError):  # ended, or another user's
            if os.getsid(pid) == pid and Path(os.readlink(link)).is_relative_to(place / "tmp"):
                found.append(pid)
    return found


def children(parent) -> list[str]:
    """States of a process's children, zombies (Z) too."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, ppid = file.read_text().rpartition(")")[2].split()[:2]
            found += [state] if int(ppid) == parent else []
    return found


def until(condition, seconds=300) -> bool:
    """Wait for a condition; False where it does not come true, on a loaded machine either."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def alive(pid) -> bool:
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def script(place, code) -> str:
    (place / "script.py").write_text("import os, signal, sys, time\n" + code)
    return str(place / "script.py")


def call(launcher, *arguments, **options) -> subprocess.CompletedProcess:
    return run([*launcher, *arguments], **options)


def start(*arguments) -> subprocess.Popen:
    return subprocess.Popen([*WARM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


SEEN = """
import json
print("first")
os.write(1, b"second\\n")
print(sys.stdin.read(), file=sys.stderr)
names = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)]
print(sys.argv, sys.path, os.getcwd(), __name__, __file__, os.isatty(1), os.umask(0), names)
print(json.dumps(dict(os.environ)), sorted(os.listdir("/proc/self/fd")))
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_script_sees_the_same(place, monkeypatch, unbuffered):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    monkeypatch.setenv("LATER", "ä\udcff")
    (place / "there").mkdir()
    os.symlink(script(place, SEEN), place / "there" / "link.py")
    options = {"cwd": place / "there", "input": "from stdin"}
    for name in ("../script.py", "link.py"):
        cold, warm = (call(launcher, name, "a b", "--c", **options) for launcher in (COLD, WARM))
        assert warm.stdout == cold.stdout
        assert warm.stderr == cold.stderr == "from stdin\n"
        assert len(servers(place)) == 1


ENDS = {
    "end": "print('last')",
    "code": "sys.exit(3)",
    "negative code": "sys.exit(-1)",
    "message": "sys.exit('message')",
    "exception": "def f():\n  1 / 0\nf()",
    "syntax": "x = (",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "interrupted": "raise KeyboardInterrupt",
    "at exit": "import atexit\natexit.register(print, 'bye')\nsys.exit(4)",
    "thread": "import threading\nthreading.Timer(0.3, print, ['late']).start()",
    "file left open": "file = open(1, 'w', closefd=False)\nfile.write('late')\nself = [file]",
    "output closed": "print(1)\nsys.stdout.close()",
    "output replaced": "import io\nprint(1)\nsys.stdout = io.StringIO()\nprint(2)",
    "full disk": "print(1)\nos.dup2(os.open('/dev/full', 1), 1)",
}


@pytest.mark.parametrize("case", ENDS)
def test_a_script_ends_the_same(place, case):
    path = script(place, ENDS[case])
    cold, warm = call(COLD, path), call(WARM, path)
    code = cold.returncode
    assert warm.returncode == (code if code >= 0 else 128 - code)
    assert warm.stdout == cold.stdout
    if case != "full disk":  # Python adds a remark
        assert warm.stderr == cold.stderr
    assert servers(place)


def test_signals_are_passed_on(place):
    handle = "signal.signal({}, lambda *_: sys.exit(7))\n"
    wait = "print('ready', flush=True)\ntime.sleep(600)"
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
        for code, expected in ((handle.format(int(number)), 7), ("", 128 + number)):
            process = start(script(place, code + wait))
            process.stdout.readline()
            process.send_signal(number)
            process.communicate(timeout=LIMIT)
            assert process.returncode == expected


CHILD = "import subprocess\nc = subprocess.Popen(['sleep', '600'])\n"
WAIT = CHILD + "print(os.getpid(), c.pid, os.getppid(), flush=True)\ntime.sleep(600)"


def test_a_killed_client_takes_its_script_along(place):
    process = start(script(place, WAIT))
    pids = process.stdout.readline().split()
    process.kill()
    process.communicate(timeout=LIMIT)
    assert until(lambda: not any(alive(int(pid)) for pid in pids))
    assert servers(place)


def test_a_killed_server_takes_scripts_along(place):
    process = start(script(place, WAIT))
    script_pid, child, keeper = map(int, process.stdout.readline().split())
    os.kill(servers(place)[0], signal.SIGKILL)
    assert process.wait(LIMIT) == 1
    assert until(lambda: not alive(script_pid) and not alive(keeper))
    os.kill(child, signal.SIGKILL)  # as after any SIGKILL, what the script started goes on
    _, errors = process.communicate(timeout=LIMIT)
    assert errors.startswith(b"noiselab: ")
    assert errors.count(b"\n") == 1
    assert call(WARM, script(place, "sys.exit(3)")).returncode == 3  # by the next server


LOADER = f"""
import multiprocessing
sys.path.append({str(SCRIPTS)!r})
from noiselab.processes import follow_parent
def load():
    follow_parent()
    print(os.getpid(), flush=True)
    time.sleep(600)
multiprocessing.get_context("fork").Process(target=load).start()
time.sleep(600)
"""


@pytest.mark.parametrize("killed", ["client", "server"])
def test_what_follows_a_script_ends_with_it(place, killed):
    process = start(script(place, LOADER))
    loader = int(process.stdout.readline())
    os.kill(process.pid if killed == "client" else servers(place)[0], signal.SIGKILL)
    process.communicate(timeout=LIMIT)  # ends when nobody has the pipes any more
    assert until(lambda: not alive(loader))


def test_edits_beside_the_script_are_seen(place):
    path = script(place, "import beside\nprint(beside.VALUE)")
    for value in ("1", "2", "3"):
        (place / "beside.py").write_text(f"VALUE = {value}  # {'x' * int(value)}")
        assert call(WARM, path).stdout == value + "\n"
    assert len(servers(place)) == 1


def test_many_at_once_share_a_server(place):
    path = script(place, "time.sleep(0.5)\nprint(sys.argv[1])\nsys.exit(int(sys.argv[1]))")
    clients = [start(path, str(i)) for i in range(16)]
    for i, client in enumerate(clients):
        assert client.communicate(timeout=LIMIT) == (b"%d\n" % i, b"")
        assert client.returncode == i
    assert len(servers(place)) == 1


def test_copies_of_a_project_share_a_server(place, monkeypatch):
    """The workflow's PYTHON names the folder of the project; nothing that is preloaded reads it."""
    path = script(place, "print(os.environ['PYTHON'])")
    for folder in ("one", "other"):
        shutil.copytree(SCRIPTS, place / folder, ignore=shutil.ignore_patterns("noiselab"))
        launcher = (sys.executable, str(place / folder / "warm_start.py"))
        monkeypatch.setenv("PYTHON", " ".join(launcher))
        assert call(launcher, path).stdout == " ".join(launcher) + "\n"
    assert len(servers(place)) == 1


PARENT = "print(os.getppid())"


def test_a_server_in_a_deep_temporary_folder_is_found(place, monkeypatch):
    """The name of a socket has 107 bytes at most."""
    deep = place / "tmp" / ("d" * 120)
    deep.mkdir()
    monkeypatch.setenv("TMPDIR", str(deep))
    path = script(place, PARENT)
    parents = [call(WARM, path).stdout for _ in range(2)]
    assert f"{os.getpid()}\n" not in parents
    assert len(servers(place)) == 1


def test_without_a_server_the_script_starts_cold(place, monkeypatch):
    path = script(place, PARENT)
    assert call(WARM, path).stdout != f"{os.getpid()}\n"
    os.kill(servers(place)[0], signal.SIGKILL)
    (folder,) = (place / "tmp").iterdir()
    folder.chmod(0o755)  # others could put their socket there
    assert call(WARM, path).stdout == f"{os.getpid()}\n"
    folder.chmod(0o700)
    (folder / "socket").unlink()
    (folder / "socket").mkdir()  # the server fails
    assert call(WARM, path).stdout == f"{os.getpid()}\n"
    missing = str(place / "missing.py")
    assert call(WARM, missing).stderr == call(COLD, missing).stderr


def test_in_a_slurm_job_the_script_starts_cold(place, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    assert call(WARM, script(place, PARENT)).stdout == f"{os.getpid()}\n"
    assert not servers(place)


def test_another_number_of_threads_gets_another_server(place, monkeypatch):
    path = script(place, "print(os.environ['OMP_NUM_THREADS'])")
    for threads in ("1", "2", "1"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        assert call(WARM, path).stdout == threads + "\n"
    assert len(servers(place)) == 2


def test_an_idle_server_ends(place, monkeypatch):
    monkeypatch.setenv("NOISELAB_IDLE", "2")
    path = script(place, "time.sleep(3)\n" + PARENT)  # not idle: there is a script
    for _ in range(2):
        done = call(WARM, path)
        assert done.returncode == 0
        assert done.stdout != f"{os.getpid()}\n"
        assert until(lambda: not servers(place))


def test_a_server_keeps_neither_files_nor_zombies(place):
    path = script(place, "print(1)")
    call(WARM, path)
    (server,) = servers(place)
    before = os.listdir(f"/proc/{server}/fd")
    for _ in range(20):
        call(WARM, path)
    assert until(lambda: os.listdir(f"/proc/{server}/fd") == before)
    assert until(lambda: not children(server))


RANDOM = "import random, numpy, torch\nprint(random.random(), numpy.random.rand(), torch.rand(1))"


def test_trainings_give_the_same_weights_and_random_numbers_differ(place, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("NOISELAB_PRELOAD", "torch torch._dynamo torchvision.models.resnet")
    spec = {"name": "digits", "kind": "digits", "classes": 10, "channels": 1, "size": 8}
    spec |= {"train_size": 400, "test_size": 200}
    prepared.write(place / "data", spec, *digits(spec))
    run = small_run() | {"data": str(place / "data")}
    run["model"]["width"] = 8
    run |= {"training": run["training"] | {"steps": 20, "schedule_steps": 20}}
    write_json(place / "run.json", run.content())
    processes = {}
    for name, launcher in (("cold", COLD), ("warm", WARM)):  # at the same time
        outputs = ("checkpoints", "weights", "history", "summary", "predictions")
        options = [part for o in outputs for part in (f"--{o}", str(place / name / o))]
        command = [*launcher, str(SCRIPTS / "train.py"), "--run", str(place / "run.json")]
        processes[name] = subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL)
    assert [process.wait(LIMIT) for process in processes.values()] == [0, 0]
    for output in ("weights", "predictions"):
        cold, warm = ((place / name / output).read_bytes() for name in processes)
        assert warm == cold
    assert json.loads((place / "warm" / "summary").read_text())["steps"] == 20
    lines = [call(WARM, script(place, RANDOM)).stdout for _ in range(2)]
    assert len(servers(place)) == 1
    assert all(a != b for a, b in zip(*(line.split() for line in lines), strict=True))
