"""Which files of the library a script is made of, found by reading its imports."""

import re
from functools import cache
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2]
# `from noiselab.x import y, z` (y may be a module), `import noiselab.x`.
IMPORTS = re.compile(
    r"^[ \t]*(?:from[ \t]+(noiselab[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n]+)"
    r"|import[ \t]+(noiselab[\w.]*))",
    re.MULTILINE,
)
# How a package imports all of its modules, whatever their names.
DISCOVERY = "iter_modules(__path__)"


@cache
def imported(path: Path) -> frozenset[Path]:
    """Files of the library that a file imports itself, in functions too."""
    text = path.read_text(encoding="utf-8")
    discovers = path.name == "__init__.py" and DISCOVERY in text
    found = set(path.parent.glob("*.py")) if discovers else set()
    for module, names, plain in IMPORTS.findall(text):
        parts = re.findall(r"\w+(?=\s*(?:,|\)|#|$|as\b))", names.strip("() \n"), re.MULTILINE)
        for name in [module or plain, *(f"{module}.{part}" for part in parts if module)]:
            found |= files(name)
    return frozenset(found)


def files(module: str) -> set[Path]:
    """The file of a module and those of its packages; none for a name that is no module."""
    place = SCRIPTS.joinpath(*module.split("."))
    file = place.with_suffix(".py") if place.with_suffix(".py").is_file() else place / "__init__.py"
    if not file.is_file():
        return set()
    packages = [
        folder / "__init__.py" for folder in place.parents if folder.is_relative_to(SCRIPTS)
    ]
    return {file, *(package for package in packages if package.is_file())}


def closure(*starts: Path) -> list[Path]:
    """The files of `starts` and all that they import, directly or not, sorted."""
    found: set[Path] = set()
    waiting = list(starts)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += imported(file)
    return sorted(found)
