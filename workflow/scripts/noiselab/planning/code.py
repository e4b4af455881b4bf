"""The code that a result is made by, found by reading imports."""

import ast
import hashlib
import re
from functools import cache
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2]
ROOT = SCRIPTS.parents[1]
STUDIES = ROOT / "config" / "studies"
CITATION = ROOT / "CITATION.cff"
# What a published result has a copy of: all that is needed to repeat it.
REPOSITORY = ("Snakefile", "rules", "config", "workflow", "profiles", "slurm", "envs", "Makefile")
REPOSITORY += ("requirements.txt", "requirements.in", "pyproject.toml", "LICENSE", "CITATION.cff")
OWN = ("local.yaml", "__pycache__")  # of a machine or its user
# `from noiselab.x import y, z` (y may be a module), `import noiselab.x`.
IMPORTS = re.compile(
    r"^[ \t]*(?:from[ \t]+(noiselab[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]+)"
    r"|import[ \t]+(noiselab[\w.]*))",
    re.MULTILINE,
)
# How a package says that it imports all of its modules, whatever their names -> these.
DISCOVERIES = {"iter_modules(__path__)": "*.py", 'glob("*/family.py")': "*/family.py"}


@cache
def content(path: Path) -> str:
    """The text of a file."""
    return path.read_text(encoding="utf-8")


@cache
def imported(path: Path) -> frozenset[Path]:
    """Files of the library that a file imports itself, in functions too."""
    found: set[Path] = set()
    for module, names, plain in IMPORTS.findall(content(path)):
        parts = re.findall(r"\w+(?=\s*(?:,|\)|#|$|as\b))", names.strip("() \n"), re.MULTILINE)
        for name in [module or plain, *(f"{module}.{part}" for part in parts if module)]:
            found |= files(name)
    for sign, pattern in DISCOVERIES.items():
        if path.name == "__init__.py" and sign in content(path):
            found |= set(path.parent.glob(pattern))
    return frozenset(found)


@cache
def files(module: str) -> frozenset[Path]:
    """The file of a module and those of its packages; none for a name that is no module."""
    place = SCRIPTS.joinpath(*module.split("."))
    file = place.with_suffix(".py") if place.with_suffix(".py").is_file() else place / "__init__.py"
    if not file.is_file():
        return frozenset()
    above = [folder for folder in place.parents if folder.is_relative_to(SCRIPTS)]
    packages = [folder / "__init__.py" for folder in above]
    return frozenset({file, *(package for package in packages if package.is_file())})


@cache
def closure(*starts: Path) -> tuple[Path, ...]:
    """The files of `starts` and all that they import, directly or not, sorted."""
    found: set[Path] = set()
    waiting = list(starts)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += imported(file)
    return tuple(sorted(found))


@cache
def script(name: str, *modules: str) -> tuple[Path, ...]:
    """A script, all of the library that it imports, and modules that it finds by name."""
    more = [file for module in modules for file in files(module)]
    return closure(SCRIPTS / f"{name}.py", *sorted(more))


def published() -> tuple[Path, ...]:
    """The studies' published numbers, claims, audits, and artefacts, whose place and title stand
    beside these."""
    names = ("published", "claims", "audit", "artefacts")
    return tuple(sorted(file for name in names for file in STUDIES.glob(f"*/{name}.yaml")))


@cache
def repository() -> tuple[Path, ...]:
    """The files that a published result has a copy of, sorted."""
    found: list[Path] = []
    for part in REPOSITORY:
        place = ROOT / part
        found += place.rglob("*") if place.is_dir() else [place]
    own = (f for f in found if set(OWN) & set(f.parts) or f.name.startswith(".") or "~" in f.name)
    return tuple(sorted({f for f in found if f.is_file()} - set(own)))


@cache
def words(module: str, name: str) -> tuple[str, ...]:
    """Names that a module writes down where it makes the dictionary `name`, such as its keys, found
    without importing it."""
    file = SCRIPTS.joinpath(*module.split("."))
    file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    kinds = (ast.Assign, ast.AnnAssign, ast.AugAssign)
    made = [node for node in ast.parse(content(file)).body if isinstance(node, kinds)]
    made = [node for node in made if name in (ast.unparse(t) for t in _targets(node))]
    parts = [part for node in made for part in ast.walk(node) if isinstance(part, ast.Constant)]
    found = [part.value for part in parts if isinstance(part.value, str)]
    return tuple(word for word in found if word.isidentifier())


def _targets(node: ast.stmt) -> list[ast.expr]:
    return getattr(node, "targets", None) or [node.target]


@cache
def digest(paths: tuple[Path, ...]) -> str:
    """SHA-256 of what files say and how they are called, wherever the folder is."""
    total = hashlib.sha256()
    for path in paths:
        total.update(f"{path.name}\0{content(path)}\0".encode())
    return total.hexdigest()
