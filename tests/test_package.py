"""The package: its names, its wheel, and that its page prints what it says."""

import contextlib
import io
import re
import sys
import zipfile
from pathlib import Path

import pytest

import commands
import noiselab

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "LIBRARY.md"
EXAMPLES = re.compile(r"^```python\n(.*?)^```(?:\n\n```text\n(.*?)^```)?", re.MULTILINE | re.DOTALL)


def test_everything_public_is_there_and_says_what_it_is():
    for name in noiselab.__all__:
        assert getattr(noiselab, name).__doc__, name
        assert name in dir(noiselab)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = noiselab.nothing


def python(program: str, *arguments: str, path: Path) -> str:
    environment = {"PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", program, *arguments]
    return commands.run(command, cwd=path, env=environment, check=True).stdout


def test_importing_the_package_imports_nothing_heavy():
    program = (
        "import sys, noiselab; heavy = {'torch', 'scipy', 'pandas', 'numpy'} & set(sys.modules);"
        "print(heavy or 'light')"
    )
    assert python(program, path=ROOT / "workflow" / "scripts") == "light\n"


def test_the_page_prints_what_it_says():
    """The blocks of docs/LIBRARY.md, one after the other."""
    blocks = EXAMPLES.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) == 5
    names: dict = {}
    for program, printed in blocks:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(program, names)
        assert out.getvalue() == printed


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The package, built from what git tracks or would track, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    commands.copy_of_the_repository(source)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index"]
    commands.run([*pip, "--quiet", "--wheel-dir", folder, source], check=True)
    (built,) = folder.glob("noiselab-0.2.0-*.whl")
    return built


def test_the_wheel_holds_the_library_and_asks_for_little(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read("noiselab-0.2.0.dist-info/METADATA").decode()
    scripts = ROOT / "workflow" / "scripts"
    sources = [p for p in (scripts / "noiselab").rglob("*.py")]
    assert {str(p.relative_to(scripts)) for p in sources} == {n for n in names if n.endswith(".py")}
    needed = re.findall(r"^Requires-Dist: ([\w-]+)[^;\n]*$", metadata, re.MULTILINE)
    assert needed == ["numpy", "scipy"]
    extra = re.findall(r"^Requires-Dist: ([\w-]+).*extra == .workflow.", metadata, re.MULTILINE)
    assert {"torch", "snakemake"} <= set(extra)
    assert "License-Expression: MIT" in metadata


WITHOUT_THE_REST = """
import sys

class Refused:
    def find_spec(name, path=None, target=None):
        if name in ("torch", "pandas", "transformers", "snakemake", "yaml", "tqdm", "sklearn"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refused)
exec(sys.argv[1])
assert noiselab.__file__.startswith(sys.path[1]), noiselab.__file__
"""


def test_the_installed_wheel_runs_the_page_with_numpy_and_scipy_alone(wheel, tmp_path):
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    commands.run([*pip, "--target", tmp_path, wheel], check=True)
    blocks = EXAMPLES.findall(PAGE.read_text(encoding="utf-8"))
    blocks = [(code, printed) for code, printed in blocks if "import torch" not in code]
    assert len(blocks) == 4
    program = "".join(code for code, _ in blocks)
    assert python(WITHOUT_THE_REST, program, path=tmp_path) == "".join(out for _, out in blocks)
