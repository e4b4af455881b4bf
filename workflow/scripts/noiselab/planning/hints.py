"""What was meant by a name that there is not."""

import difflib
from collections.abc import Iterable

MANY = 20  # names that a message lists


def hint(name: object, known: Iterable[str]) -> str:
    """What was meant by an unknown name, or all known ones."""
    known = list(dict.fromkeys(known))
    close = difflib.get_close_matches(str(name), known, n=1)
    more = ", …" if len(known) > MANY else ""
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(known[:MANY])}{more}"
