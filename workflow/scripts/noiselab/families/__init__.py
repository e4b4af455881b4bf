"""The model families: a folder each, whose family.py has the descriptor FAMILY."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

from noiselab.families.descriptor import Family, Stage


def _found() -> dict[str, Family]:
    folders = sorted(file.parent.name for file in Path(__file__).parent.glob("*/family.py"))
    modules = (import_module(f"noiselab.families.{folder}.family") for folder in folders)
    families = sorted((module.FAMILY for module in modules), key=lambda f: (f.order, f.name))
    return {family.name: family for family in families}


FAMILIES = _found()


def stages() -> list[Stage]:
    """The stages of all families, which are rules."""
    return [
        replace(stage, family=family.name)
        for family in FAMILIES.values()
        for stage in family.all_stages()
    ]
