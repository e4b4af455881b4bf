"""Texts as the page has them."""

import re

from noiselab.answers.layouts import true_minus

PERCENT = re.compile(r"(?<=\d) %")
RATIO = re.compile(r"(?<=\b[er]) = (?=\d)")


def tidy(text: str) -> str:
    """A sentence with true minus signs, in which `5 %` and `r = 1` stay on one line."""
    return RATIO.sub("\u00a0=\u00a0", PERCENT.sub("\u00a0%", true_minus(text)))


def slug(text: str) -> str:
    """A text as a part of an id."""
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())
