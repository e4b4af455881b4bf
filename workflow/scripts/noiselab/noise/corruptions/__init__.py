"""Kinds of corruption: each module of this package holds some, and is imported with it.

A module that cannot be imported is left out, and `registry.known` says so: an import that failed
would end every command with a traceback.
"""

from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from traceback import extract_tb

from noiselab.errors import first_line


def mistake(name: str) -> str | None:
    """Import a module of this package. Why that cannot be, in a line; None: it can."""
    module = f"{__name__}.{name}"
    try:
        import_module(module)
    except Exception as error:  # a module of somebody's own can raise anything
        return f"{_place(find_spec(module).origin, error)}: {_reason(error)}"
    return None


def _place(file: str, error: Exception) -> str:
    """A file, and the line of it that an error comes from."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}"
    lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == file]
    return f"{file}, line {lines[-1]}" if lines else file


def _reason(error: Exception) -> str:
    """What an error says; errors of Python's own say little without their kind."""
    text = error.msg if isinstance(error, SyntaxError) else first_line(error)
    said = isinstance(error, (SyntaxError, ImportError)) or type(error) is ValueError
    return text if text and said else f"{type(error).__name__}: {text}"


BROKEN = [line for found in iter_modules(__path__) if (line := mistake(found.name))]
