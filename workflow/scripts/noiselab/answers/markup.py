"""Any text as it stands in LaTeX and in Markdown: names of classes may have any character."""

import re

LATEX = {
    "‖": r"$\|$",
    "−": "-",
    "–": "--",
    "—": "---",
    "→": r"$\to$",
    "†": r"$\dagger$",
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    **{character: rf"\{character}" for character in "%_&#{}$"},
}
HTML = re.compile(r"<(?=[A-Za-z/!?])")  # where an element could begin; others are less-than signs


def latex(text: str) -> str:
    """Text without commands of LaTeX."""
    return "".join(LATEX.get(character, character) for character in text)


def markdown(text: str) -> str:
    """Text, in a cell too, without elements of HTML and ends of cells."""
    return HTML.sub(r"\\<", text.replace("|", r"\|"))
