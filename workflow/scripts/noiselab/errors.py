"""Errors that a user can mend, and how a script shows them: one line, exit code 1."""

import sys
from collections.abc import Callable

LONGEST = 600  # characters of a message; what is longer shows its beginning and its end
END = 150


class NoiselabError(Exception):
    """Something a user can mend; the message names the key or file in one line."""

    def __str__(self) -> str:
        text = printable(super().__str__())
        return text if len(text) <= LONGEST else f"{text[: LONGEST - END]} … {text[-END:]}"


class InputError(NoiselabError, ValueError):
    """An argument that a function of the public interface cannot take; the message names it."""


def run_script(main: Callable[[], None]) -> None:
    """Run a script's `main`; a NoiselabError becomes one line on stderr and exit code 1, as does a
    lack of memory."""
    try:
        main()
    except NoiselabError as error:
        sys.exit(f"noiselab: {error}")
    except (MemoryError, RuntimeError) as error:
        if not _lacks_memory(error):
            raise
        why = printable(first_line(error))[:LONGEST] or "of this computer"
        sys.exit(f"noiselab: not enough memory ({why}); are settings too large?")


def _lacks_memory(error: Exception) -> bool:
    """Whether memory is short; torch says so with a RuntimeError, and overflows where sizes do."""
    signs = ("allocate memory", "out of memory", "size calculation overflowed", "numel: integer")
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in signs)


def printable(text: str) -> str:
    """Text as one line that any terminal shows: control characters and broken Unicode, which names
    of files and keys may have, are written out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def first_line(reason: object) -> str:
    """The first line of a message that may have several."""
    return str(reason).strip().partition("\n")[0]
