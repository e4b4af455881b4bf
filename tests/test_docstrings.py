"""Docstrings as text: which are taken, from real and from awkward source files."""

import ast
from pathlib import Path

import pytest

from noiselab.data import text_sources

MODULE = '''
"""A module with enough to say in its first line.

    Indented like an example.
"""

def short():
    """Too short to be kept."""

class Same:
    """The very same sentence, in the first and second file."""

    async def inner(self):
        """A method within a class has a documentation, too."""
        "not a docstring, however long this sentence gets to be"

try:
    def tried():
        """In a branch, with an escape that is not valid: \\d."""
except ImportError:
    def handled():
        """Where something that was tried has not worked."""
else:
    match x:
        case 1:
            def matched():
                """Where something that was tried has worked."""
finally:
    def last():
        """Where it does not matter what has worked."""
'''
OTHER = '''
def same():
    """The very same sentence, in the first and second file."""

def new():
    "Written with single quotes, and kept all the same, \\ud800."
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "packaged_sample"
    (folder / "z").mkdir(parents=True)
    contents = {"__init__.py": "raise RuntimeError('imported')", "a.py": MODULE, "b.py": OTHER}
    contents |= {"c.py": MODULE, "d.py": "not python", "z/e.py": "x = '\\d'"}
    for name, content in contents.items():
        (folder / name).write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    return folder.name


def test_docstrings_are_a_document_per_file_and_appear_once(package):
    first, second = text_sources.docstring_documents([package])
    assert first.split("\n\n") == [
        "A module with enough to say in its first line.",
        "Indented like an example.",
        "The very same sentence, in the first and second file.",
        "A method within a class has a documentation, too.",
        r"In a branch, with an escape that is not valid: \d.",
        "Where something that was tried has not worked.",
        "Where something that was tried has worked.",
        "Where it does not matter what has worked.",
    ]
    assert second == "Written with single quotes, and kept all the same, ?."


def test_docstrings_of_a_real_package_are_those_that_ast_finds():
    import tqdm

    expected = set()
    for file in Path(tqdm.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
            expected.add((isinstance(node, kinds) and ast.get_docstring(node)) or "")
    documents = list(text_sources.docstring_documents(["tqdm"]))
    kept = sorted(d for d in expected if len(d) >= 40)
    assert sum(map(len, documents)) == sum(map(len, kept)) + 2 * (len(kept) - len(documents))
    assert all(any(d in document for document in documents) for d in kept)
