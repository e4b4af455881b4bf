"""Progress bars: lively on a terminal, a line a minute in a log file."""

import os


def interval() -> float:
    """Seconds between two updates of a bar on standard error."""
    return 0.5 if os.isatty(2) else 60
