"""Sentences of docstrings with a class each: tasks that need no download.

A sentence is the first one of a docstring. Its class is a fact of what it documents:

    package  the package that it is in
    module   the part of the package, such as scipy.stats
    object   whether it is a class, a function or a method
    returns  whether its docstring has a section Returns
"""

import ast
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from noiselab.data import pairs, text_sources

LABELS = ("package", "module", "object", "returns")
_RETURNS = re.compile(r"^\s*(Returns\s*\n\s*-{3,}|:returns?:|Returns:)", re.MULTILINE)


class Documented(NamedTuple):
    """A class or function: the first sentence of its docstring, and its class by each label."""

    sentence: str
    package: str
    module: str
    object: str
    returns: str


def sentences(packages: list[str], label: str, classes: int) -> list[tuple[str, str]]:
    """(sentence, class) of each sentence once, of the `classes` most frequent classes.

    The packages are read, not imported. NoiselabError where one is not installed.
    """
    found: dict[str, str] = {}
    for documented in text_sources.map_sources(_documented, packages):
        for one in documented:
            found.setdefault(one.sentence, getattr(one, label))
    counts = Counter(found.values())
    frequent = sorted(counts, key=lambda name: (-counts[name], name))[:classes]
    return [(sentence, name) for sentence, name in found.items() if name in frequent]


def _documented(file: Path) -> list[Documented]:
    """What is documented in a source file, from top to bottom; tests document nothing."""
    if "tests" in file.parts:
        return []
    package, module = _place(file)
    made = []
    for node, inside in text_sources.definitions(text_sources.parsed(file)):
        text = ast.get_docstring(node) if not isinstance(node, ast.Module) else None
        if sentence := pairs.first_sentence(text or ""):
            kind = "class" if isinstance(node, ast.ClassDef) else "method" if inside else "function"
            returns = "returns" if _RETURNS.search(text) else "nothing"
            made.append(Documented(sentence, package, module, kind, returns))
    return made


def _place(file: Path) -> tuple[str, str]:
    """The package of a source file, and the part of it: the outermost folder that has an
    __init__.py and what is right below it."""
    folders = [folder for folder in file.parents if (folder / "__init__.py").is_file()]
    package = folders[-1]
    below = file.relative_to(package).parts
    return package.name, f"{package.name}.{Path(below[0]).stem}"
