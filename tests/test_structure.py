"""Structure: which way imports go, how long modules and functions are, what planning imports."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "workflow" / "scripts"
# A module imports from its own package and from those before it; "" are the modules at the top.
ORDER = ["", "models", "training", "noise", "data", "measures", "families", "planning", "answers"]
MODULE_LINES, FUNCTION_LINES, RULE_LINES = 450, 60, 10
# What is still longer. An entry must leave these lists as soon as it is short.
LONG_MODULES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()
SOURCES = sorted([*SCRIPTS.rglob("*.py"), *(ROOT / "tests").rglob("*.py")])


def imported(source: str) -> list[tuple[int, str]]:
    """(line, module) of what a file imports of the library, in functions too."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [(node.lineno, n) for n in (names if node.module == "noiselab" else [])]
            found += [(node.lineno, node.module)] if node.module != "noiselab" else []
    return sorted(f for f in found if f[1].split(".")[0] == "noiselab")


def package(module: str) -> str:
    """The package of a module of the library, "" for those at its top."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (SCRIPTS / "noiselab" / parts[1]).is_dir() else ""


def wrong_imports(module: str, source: str) -> list[str]:
    """A line per import that goes up the list."""
    own = package(module)
    return [
        f"{module}:{line} imports {other}: {own or 'the top'} comes before {package(other)}"
        for line, other in imported(source)
        if ORDER.index(package(other)) > ORDER.index(own)
    ]


def test_imports_go_down_the_list_only():
    wrong = []
    for path in sorted((SCRIPTS / "noiselab").rglob("*.py")):
        module = ".".join(path.relative_to(SCRIPTS).with_suffix("").parts)
        wrong += wrong_imports(module, path.read_text(encoding="utf-8"))
    assert not wrong, "\n".join(wrong)


def test_the_list_has_all_packages():
    folders = {path.parent.name for path in (SCRIPTS / "noiselab").glob("*/__init__.py")}
    assert folders == set(ORDER) - {""}


@pytest.mark.parametrize(
    ("module", "source", "named"),
    [
        ("noiselab.measures.x", "from noiselab.families.classifier import task", "families"),
        ("noiselab.measures.x", "def f():\n    import noiselab.planning.runs", "planning"),
        ("noiselab.data.x", "from noiselab import answers", "answers"),
        ("noiselab.files", "from noiselab.models.unet import unet", "models"),
    ],
)
def test_an_import_up_the_list_is_named(module, source, named):
    (line,) = wrong_imports(module, source)
    assert line.startswith(f"{module}:{source.count(chr(10)) + 1} imports noiselab.{named}")


def test_imports_down_the_list_and_within_a_package_pass():
    source = "import torch\nfrom noiselab import files, streams\nfrom noiselab.models import unet\n"
    assert not wrong_imports("noiselab.training.x", source + "from noiselab.training import loop")


def test_modules_are_short():
    long = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        if not path.name.startswith("test_")  # of which each may have many tests
        and len(path.read_text(encoding="utf-8").splitlines()) > MODULE_LINES
    }
    assert long == LONG_MODULES


def test_functions_are_short():
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = {
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, kinds) and node.end_lineno - node.lineno >= FUNCTION_LINES
    }
    assert long == LONG_FUNCTIONS


def test_rules_hold_no_python_that_a_module_could_hold():
    """Functions of the rules have ten lines at most; loops over rules are wiring."""
    long = {}
    for path in [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]:
        text = path.read_text(encoding="utf-8")
        for function in re.findall(r"^def .*\n(?:(?:[ \t].*)?\n)*", text, re.MULTILINE):
            if len(function.strip().splitlines()) > RULE_LINES:
                long[path.name] = function.partition("(")[0]
    assert long == {}


# ----------------------------------------------------------------------------- planning side

# What a plan reads: imported before anything is installed for training.
PLANNING = ["noiselab.planning.project", "noiselab.planning.wiring", "noiselab.errors"]
DESCRIPTORS = [
    ".".join(path.relative_to(SCRIPTS).with_suffix("").parts)
    for path in sorted((SCRIPTS / "noiselab" / "families").glob("*/family.py"))
]


def test_planning_imports_nothing_heavy():
    code = (
        f"import sys, {', '.join(PLANNING + DESCRIPTORS)};"
        "print(*{'torch', 'pandas', 'scipy', 'transformers', 'timm'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, timeout=100
    )
    assert (result.returncode, result.stdout.split()) == (0, []), result.stderr
