"""House rules: lint, pins, no paths of a machine."""

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

from commands import run

ROOT = Path(__file__).resolve().parents[1]
SNAKE = ["Snakefile", "workflow/Snakefile"]
SNAKE += sorted(str(p.relative_to(ROOT)) for p in (ROOT / "rules").glob("*.smk"))
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
    run([BIN / command[0], *command[1:]], check=True, cwd=ROOT)


WITH_TIMEOUT = {"run", "call", "check_call", "check_output"}  # of subprocess
WITH_LIMIT = {"wait", "communicate", "join", "result", "acquire"}  # of processes and threads


def unlimited(code: str) -> list[str]:
    """Calls in Python code that can wait for ever for a process or a thread."""
    found = []
    for call in ast.walk(ast.parse(code)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            names = {keyword.arg for keyword in call.keywords}
            of_subprocess = ast.unparse(call.func.value) == "subprocess"
            if of_subprocess and call.func.attr in WITH_TIMEOUT and "timeout" not in names:
                found.append(ast.unparse(call))
            if call.func.attr in WITH_LIMIT and not (call.args or names):
                found.append(ast.unparse(call))
    return found


def test_no_test_or_benchmark_waits_for_ever():
    files = [file for folder in ("tests", "benchmarks") for file in (ROOT / folder).rglob("*.py")]
    found = {str(file): unlimited(file.read_text(encoding="utf-8")) for file in files}
    assert {file: calls for file, calls in found.items() if calls} == {}


@pytest.mark.parametrize(
    ("code", "waits"),
    [
        ("subprocess.run(['x'], check=True)", True),
        ("subprocess.run(['x'], timeout=3)", False),
        ("commands.run(['x'])", False),
        ("process.wait()", True),
        ("process.wait(3)", False),
        ("process.communicate(timeout=3)", False),
        ("process.communicate()", True),
        ("', '.join(words)", False),
    ],
)
def test_calls_that_can_wait_for_ever_are_seen(code, waits):
    assert bool(unlimited(code)) == waits


def test_the_conda_environment_has_the_pins_of_requirements():
    sys.path.insert(0, str(ROOT / "envs"))
    import lock

    assert (ROOT / "envs" / "noiselab.yaml").read_text() == lock.environment()
    assert re.findall(r"==", lock.environment())


def test_requirements_name_no_index():
    requirements = (ROOT / "requirements.txt").read_text()
    assert "://" not in requirements
    assert "--index" not in requirements


def test_the_workflow_catalogue_finds_what_it_asks_for():
    """As its own script looks for it, for workflows of standardised usage."""
    assert (ROOT / "workflow" / "Snakefile").is_file()  # there, as there is a folder of that name
    assert list((ROOT / "rules").glob("*.smk"))
    assert len((ROOT / "config" / "README.md").read_text().split()) > 100
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    readme = (ROOT / "README.md").read_text().lower()
    assert "snakemake" in readme
    assert "workflow" in readme
    told = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(told) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(told["mandatory-flags"]) == {"desc", "flags"}
    deployments = told["software-stack-deployment"]
    assert set(deployments) == {"conda", "apptainer", "apptainer+conda"}
    assert deployments["conda"] == (ROOT / "envs" / "noiselab.yaml").is_file()
