"""Jobs need no network: all kinds run where there is none, and give what they always give."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from commands import run
from offline import guarded, namespace

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "workflow" / "scripts"
# Asks the network; have no embedded data.
TOOLS = {
    "burst",
    "cluster",
    "make_results",
    "take_screenshot",
    "warm_start",
}  # no rule calls them as a job
ASIDE = {"preflight", "prepare_image_files", "prepare_out_of_domain", "write_mask"}
ASIDE |= {"annotate"}  # no experiment of the studies has such noise
ASIDE |= {"make_crate", "make_bundle", "keep_runs", "restore_runs"}  # where they are asked for
# Of other studies.
ASIDE |= {"collect_curves", "measure_noise_text", "measure_guidance", "unpack_model"}
ASIDE |= {"prepare_labelled_texts", "extract_features", "fit_probes", "measure_heads", "fine_tune"}
ASIDE |= {"prepare_algorithmic", "measure_layer_stability", "measure_model_stability"}


def call(command, folder, environment, **options) -> str:
    done = run(command, check=True, cwd=folder, env=environment, **options)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def offline(smoke, tmp_path_factory):
    """A folder with the smoke tier as it was made without a network; and what Snakemake said."""
    folder = tmp_path_factory.mktemp("offline") / "smoke"
    shutil.copytree(smoke.folder, folder, symlinks=True)
    return folder, smoke.said


def test_no_job_opens_a_connection(offline):
    folder, _ = offline
    assert not (folder / "connections").exists(), (folder / "connections").read_text()
    for name in ("report.html", "workflow_report.html", "claims.json", "figures/figure4.svg"):
        assert (folder / "results" / "smoke" / name).stat().st_size > 1000


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
