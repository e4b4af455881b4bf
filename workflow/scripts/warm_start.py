"""Run a script in a process that has the heavy packages already imported.

    python workflow/scripts/warm_start.py SCRIPT [ARGUMENT ...]

does what `python SCRIPT ARGUMENT ...` does: same output, exit code and results. The script runs
in a fork of a server that has imported the packages below; the first call starts it, and it ends
after a minute without work. Where there can be no server, the script starts as usual: slower, never
wrong. On a GPU machine drivers do not survive a fork; in a cluster's job a server would be outside
the job's limits and signals, or end with the job that happened to start it.
"""

import atexit
import contextlib
import ctypes
import fcntl
import gc
import hashlib
import importlib
import json
import os
import random
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types
from pathlib import Path

# Third-party only: each script reads the project's own code anew.
PACKAGES = """
torch torch._dynamo torch.distributed torch.optim.swa_utils safetensors.torch numpy tokenizers
torchvision.datasets torchvision.models.resnet timm.models.vision_transformer
timm.data.auto_augment transformers.models.gpt2.modeling_gpt2 scipy.stats sklearn.datasets pandas
transformers.models.marian.modeling_marian sacrebleu.metrics rouge_score.rouge_scorer tqdm yaml
jsonschema jinja2.ext tabulate pyarrow.parquet PIL.ImageDraw PIL.ImageFont matplotlib.ft2font
pytorch_fid.inception
"""
# Python and the packages read these when they start, numbers of threads above all. Another value
# gets another server: a number of threads that is set later does not give the same bits. PYTHON
# itself is the workflow's, and names this file: copies of a project share one server.
SETTINGS = ("CUDA", "GOMP_", "GOTO_", "HF_", "HOME", "KMP_", "LANG", "LC_", "LD_", "MKL_", "MPL")
SETTINGS += ("NOISELAB_", "NUMEXPR_", "OMP_", "OPENBLAS_", "PYTHON", "PYTORCH_", "TORCH")
SETTINGS += ("TRANSFORMERS_", "XDG_")
GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # their drivers do not survive a fork
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
IDLE, START, ANSWER = 60.0, 180.0, 10.0  # seconds: a server's last rest; longest waits for it
HELLO = b"+"


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        serve()
    elif sys.argv[1:2] in ([], ["-h"], ["--help"]):
        print(__doc__)
    else:
        try:
            folder = private_folder()
            connection = connect(folder)
            woken = ask(connection)
        except OSError:
            os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
        sys.exit(wait(connection, woken, folder))


# ---------------------------------------------------------------------------------- the client


def private_folder() -> Path:
    """The folder of the server that suits this process. OSError: there can be none."""
    in_job = os.environ.keys() & {"SLURM_JOB_ID", "NOISELAB_CLUSTER"}
    nowhere = sys.platform != "linux" or in_job
    if nowhere or not os.path.isfile(sys.argv[1]) or any(map(os.path.exists, GPUS)):
        raise FileNotFoundError
    os.close(os.pidfd_open(os.getpid()))  # an OSError on older kernels
    identity = [sys.executable, sys.version, Path(__file__).read_text(encoding="utf-8")]
    settings = {name for name in os.environ if name.startswith(SETTINGS)} - {"PYTHON"}
    identity += [(name, os.environ[name]) for name in sorted(settings)]
    # What the server hands down to the script as it was when the server started.
    proc = [Path("/proc/self", name).read_text() for name in ("cgroup", "limits", "status")]
    lines = [line for line in proc.pop().splitlines() if line.startswith(("Umask", "Cpus_all"))]
    identity += [os.getuid(), os.uname().nodename, os.nice(0), *proc, *lines]
    digest = hashlib.sha256(repr(identity).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir(), f"noiselab-{digest}")
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode) or status.st_mode & 0o077:
        raise PermissionError
    return folder


def connect(folder: Path) -> socket.socket:
    """Connection to the server, which is started if need be. OSError: there is none to be had."""
    with open(folder / "lock", "w") as lock:
        deadline = time.monotonic() + START
        while time.monotonic() < deadline:
            locked = False
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                locked = True
            with contextlib.suppress(OSError):
                return greet(folder)
            if locked:
                start(folder)
                return greet(folder)
            time.sleep(0.05)  # another client is just starting it
    raise TimeoutError


def greet(folder: Path) -> socket.socket:
    """Connection to the server that runs. OSError: none does, or it is about to end."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(ANSWER)
    place = os.open(folder, os.O_PATH)
    try:  # by a short name: sockets take no long ones, as deep temporary folders have
        connection.connect(f"/proc/self/fd/{place}/socket")
    finally:
        os.close(place)
    if connection.recv(1) != HELLO:
        raise ConnectionError
    connection.settimeout(None)
    return connection


def start(folder: Path) -> None:
    """Start a server and wait until it is ready. OSError: it failed, or takes too long."""
    command = [sys.executable, os.path.abspath(__file__), "--serve"]
    with open(folder / "log", "wb") as log:
        files = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": log}
        server = subprocess.Popen(command, **files, cwd=folder, start_new_session=True)
    if not select.select([server.stdout], [], [], START)[0] or server.stdout.read(1) != HELLO:
        server.kill()
        raise TimeoutError


def ask(connection: socket.socket) -> int:
    """Have the script run; from now on signals are passed on to it. Returns the end of a pipe that
    can be read after each signal: one that came just before a blocking call would otherwise be
    handled only after that."""
    woken, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup)

    def pass_on(number, frame):
        with contextlib.suppress(OSError):  # the server has gone: wait() will see it
            connection.send(bytes([number]))

    for number in PASSED_ON:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, pass_on)
    request = {"arguments": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}
    with open(os.memfd_create("request"), "w+", encoding="utf-8") as file:
        json.dump(request, file)
        file.seek(0)
        socket.send_fds(connection, [HELLO], [file.fileno(), 0, 1, 2])
    return woken


def wait(connection: socket.socket, woken: int, folder: Path) -> int | str:
    """Exit code of the script, or an error message. woken: what `ask` returned."""
    with contextlib.suppress(ConnectionError):
        while connection not in (ready := select.select([connection, woken], [], [])[0]):
            os.read(ready[0], 64)  # the handler has run
        if code := connection.recv(1):
            return code[0]
    return f"noiselab: the server of warm_start.py ended before the script, see {folder / 'log'}"


# ---------------------------------------------------------------------------------- the server


def serve() -> None:
    """Fork a keeper for each client, until there has been no work for a while."""
    ready = os.dup(1)  # the client reads here; what packages print goes to the log
    os.dup2(2, 1)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the keepers
    Path("socket").unlink(missing_ok=True)  # left by a server that ended
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("socket")
    listener.listen(128)
    listener.settimeout(float(os.environ.get("NOISELAB_IDLE", IDLE)))
    os.write(ready, HELLO)
    os.close(ready)
    while connection := accept(listener):
        with connection, contextlib.suppress(OSError):  # cannot fork: the client will notice
            fork(keep, connection, listener)
    os._exit(0)  # without taking every module apart


def preload() -> None:
    """Import the packages."""
    sys.path.pop(0)  # the folder of this file
    for name in os.environ.get("NOISELAB_PRELOAD", PACKAGES).split():
        with contextlib.suppress(Exception):  # the script will say so itself
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # or the first collection in each fork would copy every page


def accept(listener: socket.socket) -> socket.socket | None:
    """Connection to the next client; None after a while without clients and keepers."""
    while True:
        with contextlib.suppress(TimeoutError):
            return listener.accept()[0]
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None


def fork(function, *arguments) -> int:
    """Call a function in a process that ends with its exit code, or with its parent."""
    parent = os.getpid()
    if child := os.fork():
        return child
    code = 1
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() == parent:
            code = function(*arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def keep(connection: socket.socket, listener: socket.socket) -> int:
    """Between a client and its script: pass on signals one way, the exit code the other."""
    listener.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    connection.send(HELLO)
    _, files, _, _ = socket.recv_fds(connection, 1, 4)
    if not files:
        return 1  # the client has gone
    script = fork(run, connection, files)
    for file in files:  # whoever reads the script's output waits until all have closed it
        os.close(file)
    ended = os.pidfd_open(script)
    while ended not in select.select([ended, connection], [], [])[0]:
        if not pass_on(connection, script):
            return 1
    code = os.waitstatus_to_exitcode(os.waitpid(script, 0)[1])
    connection.send(bytes([code if code >= 0 else 128 - code]))
    return 0


def pass_on(connection: socket.socket, script: int) -> bytes:
    """Pass on signals from the client; none means that it has gone, and the script goes too."""
    numbers = b""
    with contextlib.suppress(ConnectionError):
        numbers = connection.recv(64)
    for number in numbers or [signal.SIGKILL]:
        os.kill(script, number)
    if not numbers:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(script, signal.SIGKILL)  # what the script has started
    return numbers


# ------------------------------------------------------------------- the process of the script


def run(connection: socket.socket, files: list[int]) -> int:
    """Be the process that `python SCRIPT` would have been; returns its exit code."""
    connection.close()
    os.setsid()
    adopt(files)
    seed()
    importlib.invalidate_caches()
    sys.path.insert(0, os.path.dirname(os.path.realpath(sys.argv[0])))
    return finish(execute(os.path.join(os.getcwd(), sys.argv[0])))


def adopt(files: list[int]) -> None:
    """Take over the client's arguments, folder, environment and standard files."""
    with open(files[0], encoding="utf-8") as file:
        request = json.load(file)
    sys.argv[:] = request["arguments"]
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    for number, file in enumerate(files[1:]):
        os.dup2(file, number)
        os.close(file)
    sys.stdout.reconfigure(line_buffering=os.isatty(1))


def seed() -> None:
    """Seed what is random in a new process, with numpy and torch if they are here."""
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.seed()


def execute(path: str) -> int:
    """Run a file as `__main__`; returns the exit code."""
    sys.modules["__main__"] = module = types.ModuleType("__main__")
    module.__file__ = path
    try:  # not by runpy, which would change argv[0] and be seen in tracebacks
        exec(compile(Path(path).read_bytes(), path, "exec", dont_inherit=True), vars(module))
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return (stop.code or 0) & 0xFF
        print(stop.code, file=sys.stderr)
        return 1
    except BaseException as error:
        error.__traceback__ = error.__traceback__.tb_next  # without this function
        sys.excepthook(type(error), error, error.__traceback__)
        return 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    return 0


def finish(code: int) -> int:
    """What Python does at its end; returns the exit code."""
    threading._shutdown()
    atexit._run_exitfuncs()
    vars(sys.modules["__main__"]).clear()  # with the files that the script left open
    gc.collect()
    ctypes.CDLL(None).fflush(None)
    try:
        for stream in (sys.stdout, sys.__stdout__):
            if stream and not stream.closed:
                stream.flush()
    except OSError:
        return 120
    return code


if __name__ == "__main__":
    main()
