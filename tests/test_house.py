"""House rules: lint, pins, no paths of a machine."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SNAKE = ["Snakefile", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "rules").glob("*.smk"))]
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["snakefmt", "--check", *SNAKE],
        ["snakemake", "--lint"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_lint(command):
    result = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_conda_environment_has_the_pins_of_requirements():
    sys.path.insert(0, str(ROOT / "envs"))
    import lock

    assert (ROOT / "envs" / "noiselab.yaml").read_text() == lock.environment()
    assert re.findall(r"==", lock.environment())


def test_requirements_name_no_index():
    requirements = (ROOT / "requirements.txt").read_text()
    assert "://" not in requirements
    assert "--index" not in requirements
