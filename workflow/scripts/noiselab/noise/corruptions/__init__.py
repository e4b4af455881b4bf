"""Kinds of corruption: each module of this package holds some, and is imported with it."""

from importlib import import_module
from pkgutil import iter_modules

for module in iter_modules(__path__):
    import_module(f"{__name__}.{module.name}")
