"""Errors that a user can mend, and how a script shows them: one line, exit code 1."""

import sys
from collections.abc import Callable


class NoiselabError(Exception):
    """Something a user can mend; the message names the key or file in one line."""


class InputError(NoiselabError, ValueError):
    """An argument that a function of the public interface cannot take; the message names it."""


def run_script(main: Callable[[], None]) -> None:
    """Run a script's `main`; a NoiselabError becomes one line on stderr and exit code 1."""
    try:
        main()
    except NoiselabError as error:
        sys.exit(f"noiselab: {error}")


def first_line(reason: object) -> str:
    """The first line of a message that may have several."""
    return str(reason).strip().partition("\n")[0]
