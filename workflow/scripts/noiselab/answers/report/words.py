"""Texts as the page has them."""

import re

MINUS = re.compile(r"(?<![\w)\]])-(?=\d)")
PERCENT = re.compile(r"(?<=\d) %")
RATIO = re.compile(r"(?<=\b[er]) = (?=\d)")


def minus(text: str) -> str:
    """A text in which a hyphen before a number is a minus sign."""
    return MINUS.sub("−", text)


def tidy(text: str) -> str:
    """A sentence with true minus signs, in which `5 %` and `r = 1` stay on one line."""
    return RATIO.sub("\u00a0=\u00a0", PERCENT.sub("\u00a0%", minus(text)))


def slug(text: str) -> str:
    """A text as a part of an id."""
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())
