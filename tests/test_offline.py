"""Jobs need no network: all kinds of them run where there is none, and give what they always give.

A hook in every Python process records and refuses what goes beyond this computer. Where the system
lets a user make one, all runs in a network namespace too, in which there is nothing but loopback;
that also holds for what compiled libraries do.
"""

import os
import re
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from commands import run

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "workflow" / "scripts"
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
# One data set per family, and the analyses of one pair of runs.
PLAN = ["tier=smoke", "only=[table2, table1, table3, table7, table9]"]
PLAN += ["experiments={table2: {datasets: [digits]}, table3: {datasets: [glyphs-12]}}"]
PLAN += ["analyses={loss_stability: {experiment: table7}, gradient_coherence: {batches: 2}}"]
# Asks the network; have no embedded data.
TOOLS = {"burst", "make_results", "take_screenshot", "warm_start"}  # no rule calls them as a job
ASIDE = {"preflight", "prepare_image_files", "prepare_out_of_domain", "write_mask"}
ASIDE |= {"annotate"}  # no experiment of the studies has such noise
ASIDE |= {"make_crate", "make_bundle"}  # only where they are asked for
# Of the second study.
ASIDE |= {"collect_curves", "measure_noise_text"}
ASIDE |= {"prepare_labelled_texts", "extract_features", "fit_probes"}


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


def call(command, folder, environment, **options) -> str:
    done = run(command, check=True, cwd=folder, env=environment, **options)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """A folder in which all families have run, from data to report; and what Snakemake said."""
    folder = tmp_path_factory.mktemp("offline")
    command = [*namespace(), sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
    command += ["--workflow-profile", ROOT / "profiles" / "default", "--cores", 2, "-p"]
    command += ["--config", *PLAN, "--", "all", "claims", "figure4"]
    return folder, call(command, folder, guarded(folder))


def test_no_job_opens_a_connection(offline):
    folder, _ = offline
    assert not (folder / "connections").exists(), (folder / "connections").read_text()
    for name in ("report.html", "workflow_report.html", "claims.json", "figures/figure4.svg"):
        (made,) = (folder / "results" / "smoke" / "own").glob(f"*/only/*/{name}")
        assert made.stat().st_size > 1000


def test_every_script_was_called_but_those_that_download(offline):
    _, said = offline
    scripts = {path.stem for path in SCRIPTS.glob("*.py")} - TOOLS
    called = set(re.findall(r"\$SCRIPTS/(\w+)\.py", said))
    downloads = {name for name in scripts if name.startswith("download_")}
    assert downloads
    assert scripts - called - ASIDE == downloads


def test_the_guard_sees_connections_and_lets_this_computer_through(tmp_path):
    code = "import socket\nwith socket.create_server(('localhost', 0)) as s:\n"
    code += "  socket.create_connection(s.getsockname()).close()\n"
    here = [*namespace(), sys.executable, "-c", code]
    call(here, tmp_path, guarded(tmp_path))
    assert not (tmp_path / "connections").exists()
    away = "import socket\nsocket.create_connection(('192.0.2.1', 80), 1)"
    done = run([sys.executable, "-c", away], env=guarded(tmp_path))
    assert done.returncode
    assert "192.0.2.1" in (tmp_path / "connections").read_text()


RUNS = {
    "classifier": "digits/uniform_label-r1.00-fixed_clean-s0",
    "vision_transformer": "glyphs-12/uniform_label-r1.00-fixed_clean-s0",
    "diffusion": "digits/uniform_label-r1.00-fixed_clean-s0",
    "language_model": "docstrings/uniform_token-r1.00-fixed_total-s0",
    "seq2seq": "code2doc/teacher-r1.00-fixed_total-s0",
}


@pytest.mark.parametrize("family", RUNS)
def test_weights_are_those_of_a_run_with_a_network(offline, family, tmp_path):
    folder, _ = offline
    run = f"results/smoke/runs/{family}/{RUNS[family]}"
    command = [sys.executable, SCRIPTS / "warm_start.py", SCRIPTS / "train.py"]
    command += ["--run", f"{run}/run.json"]
    for output in ("checkpoints", "weights", "history", "summary"):
        command += [f"--{output}", tmp_path / output]
    call(command, folder, os.environ | {"NOISELAB_IDLE": "20", "OMP_NUM_THREADS": "1"})
    ours, theirs = (
        load_file(p) for p in (folder / run / "weights.safetensors", tmp_path / "weights")
    )
    # Not as bytes: the header of a file has its entries in any order.
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


# ------------------------------------------------------------------------------- the rules


# What Snakemake has made of the rules: each with its command, and whether it is a local one.
PROBE = """
include: "whole"
for rule in workflow.rules:
    print("rule", rule.name, rule.name in workflow._localrules, "$ONLINE" in (rule.shellcmd or ""))
"""


def test_downloads_are_local_rules_and_alone_may_ask_the_hub(tmp_path):
    for name in ("config", "rules", "workflow"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "whole").symlink_to(ROOT / "Snakefile")
    (tmp_path / "Snakefile").write_text(PROBE)
    said = call([sys.executable, "-m", "snakemake", "--list-rules"], tmp_path, os.environ)
    rules = re.findall(r"^rule (\w+) (True|False) (True|False)$", said, re.MULTILINE)
    online = {name for name, _, asks in rules if asks == "True"}
    assert online == {name for name, _, _ in rules if name.startswith("download_")}
    assert len(online) >= 4
    assert online <= {name for name, local, _ in rules if local == "True"}
