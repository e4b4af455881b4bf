"""Errors that a user can mend, and how a script shows them: one line, exit code 1."""

import sys
from collections.abc import Callable


class NoiselabError(Exception):
    """Something a user can mend; the message names the key or file in one line."""

    def __str__(self) -> str:
        return printable(super().__str__())


class InputError(NoiselabError, ValueError):
    """An argument that a function of the public interface cannot take; the message names it."""


def run_script(main: Callable[[], None]) -> None:
    """Run a script's `main`; a NoiselabError becomes one line on stderr and exit code 1."""
    try:
        main()
    except NoiselabError as error:
        sys.exit(f"noiselab: {error}")


def printable(text: str) -> str:
    """Text as one line that any terminal shows: control characters and broken Unicode, which names
    of files and keys may have, are written out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def first_line(reason: object) -> str:
    """The first line of a message that may have several."""
    return str(reason).strip().partition("\n")[0]
