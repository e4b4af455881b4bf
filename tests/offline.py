"""Commands for which there is no network.

A hook in every Python process records and refuses what goes beyond this computer. Where the system
lets a user make one, all runs in a network namespace too, in which there is nothing but loopback;
that also holds for what compiled libraries do.
"""

import os
import sys
from pathlib import Path

from commands import run

# Python reads this when it starts, wherever it is on PYTHONPATH.
GUARD = """
import os, socket, sys

HERE = {"localhost", "127.0.0.1", "::1", "", None, socket.gethostname()}
HOST = {"socket.getaddrinfo": 0, "socket.gethostbyname": 0, "socket.gethostbyaddr": 0}
ADDRESS = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1}

def watch(event, arguments):
    if event in ADDRESS:
        address = arguments[ADDRESS[event]]
        host = address[0] if isinstance(address, tuple) else None  # a path: of this computer
    elif event in HOST:
        host = arguments[HOST[event]]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in HERE:
        with open(os.environ["NOISELAB_CONNECTIONS"], "a") as file:
            print(event, host, *sys.argv, file=file)
        raise ConnectionRefusedError(f"{host}: not from a job")

sys.addaudithook(watch)
"""
# SIOCSIFFLAGS, IFF_UP: `ip link set lo up` without the command ip.
LOOPBACK = """
import fcntl, os, socket, struct, sys
with socket.socket() as s:
    fcntl.ioctl(s, 0x8914, struct.pack("16sh22x", b"lo", 1))
os.execvp(sys.argv[1], sys.argv[1:])
"""
NAMESPACE = ("unshare", "--map-root-user", "--net", sys.executable, "-c", LOOPBACK)


def namespace() -> tuple:
    """How to start a command where there is no network; nothing where that is not allowed."""
    try:
        works = run([*NAMESPACE, "true"]).returncode == 0
    except OSError:
        works = False
    return NAMESPACE if works else ()


def guarded(folder: Path) -> dict:
    """An environment whose Python processes record connections in `folder`/connections."""
    (folder / "guard").mkdir(exist_ok=True)
    (folder / "guard" / "sitecustomize.py").write_text(GUARD)
    own = {"PYTHONPATH": str(folder / "guard"), "NOISELAB_IDLE": "5", "COLUMNS": "200"}
    return os.environ | own | {"NOISELAB_CONNECTIONS": str(folder / "connections")}
