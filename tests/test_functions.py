"""Functions of installed packages as pairs: what they do, by name and by body."""

import ast
from pathlib import Path

import numpy as np
import pytest

from noiselab.data import pairs, text
from noiselab.streams import permutation
from pair_samples import FUNCTIONS, SPLITS, prepare

MODULE = '''
"""A module is not a function."""
import functools

@functools.lru_cache(maxsize=None)
def decorated(a: int, *args, b=(1, 2), **kwargs) -> "int":
    """Add the numbers, e.g. one
    and two.  Then forget them.

    Not of the first paragraph."""
    # a comment
    return a + sum(b)

async def waits():
    """Wait until something happens"""
    await functools

def outer(x):
    """Define a function, and call it."""
    def inner(y):
        """Add what is known outside!"""
        return x + y
    class Local:
        """Nothing is in this class."""
        def method(self):
            """Return the number eleven?"""
            return 11
    return inner

class Outer:
    """A class is not a function."""
    @property
    def value(self):
        "Give the value of this object."
        return 1
    class Inner:
        def deep(self):
            """Go to the bottom of things."""
            raise NotImplementedError

if decorated:
    def branch():
        """Be defined under a condition."""
        return 0

def undocumented(): return 1
def docstring_only(): """This function does nothing at all."""
def passes():
    """This function passes, and no more."""
    pass
def dots():
    """This function is just three dots."""
    ...
def short():
    """Too short"""
    return 1
def ten():
    """Ten chars."""
    return 1
def lone():
    """Hold a lone surrogate: \\ud800."""
    return "\\ud800"
def literal():
    """Spell <s> and </s> and <pad> out."""
    return "</s>"
'''
LONG = 'def length_{n}():\n    """{doc}"""\n    return {n}\n'
MODULE += LONG.format(n=400, doc="x" * 400) + LONG.format(n=401, doc="x" * 401)
EXPECTED = {
    "def decorated(a: int, *args, b=(1, 2), **kwargs) -> 'int':": (
        "Add the numbers, e.g. one and two."
    ),
    "async def waits():": "Wait until something happens",
    "def outer(x):": "Define a function, and call it.",
    "def inner(y):": "Add what is known outside!",
    "def Local.method(self):": "Return the number eleven?",
    "def Outer.value(self):": "Give the value of this object.",
    "def Outer.Inner.deep(self):": "Go to the bottom of things.",
    "def branch():": "Be defined under a condition.",
    "def ten():": "Ten chars.",
    "def lone():": "Hold a lone surrogate: ?.",
    "def literal():": "Spell <s> and </s> and <pad> out.",
    "def length_400():": "x" * 400,
}


def package(folder, monkeypatch, **modules):
    """A package on the path, named so that no other test has imported it."""
    inside = folder / "packaged_pairs"
    inside.mkdir()
    for name, content in modules.items():
        (inside / f"{name}.py").write_text(content)
    monkeypatch.syspath_prepend(folder)
    return inside.name


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """name2doc and code2doc of small packages: description and texts of each."""
    folder = tmp_path_factory.mktemp("pairs")
    fields = ("signature", "body")
    return {f: prepare(folder, FUNCTIONS | {"source_field": f}, out=f) for f in fields}


@pytest.fixture(scope="module")
def real_functions():
    return pairs.functions(FUNCTIONS["packages"])


def test_the_functions_of_a_package_are_those_written_down(tmp_path, monkeypatch):
    name = package(tmp_path, monkeypatch, a=MODULE, b=MODULE, bad="not python", e="x = '\\d'")
    found = pairs.functions([name])
    assert {f.signature: f.summary for f in found} == EXPECTED
    assert len(found) == len(EXPECTED)  # module b has nothing new
    assert [f.signature for f in found] == list(EXPECTED)  # from top to bottom


def test_bodies_hold_the_code_and_no_docstring(tmp_path, monkeypatch):
    found = pairs.functions([package(tmp_path, monkeypatch, a=MODULE)])
    bodies = {f.signature: f.body for f in found}
    assert bodies["def outer(x):"].splitlines() == [
        "def outer(x):",
        "",
        "    def inner(y):",
        "        return x + y",
        "",
        "    class Local:",
        "",
        "        def method(self):",
        "            return 11",
        "    return inner",
    ]
    decorated = bodies["def decorated(a: int, *args, b=(1, 2), **kwargs) -> 'int':"]
    assert decorated.splitlines()[1:] == ["    return a + sum(b)"]
    for f in found:
        assert f.body.startswith(f.signature)
        assert f.summary not in f.body


def test_a_definition_that_was_only_a_docstring_stays_valid_code(tmp_path, monkeypatch):
    content = '''
def outer():
    """Make a class of its own."""
    class Empty(Exception):
        """Without anything in it."""
    return Empty
'''
    (found,) = pairs.functions([package(tmp_path, monkeypatch, a=content)])
    ast.parse(found.body)
    assert "class Empty(Exception):\n        pass" in found.body


def test_the_functions_of_real_packages_are_those_that_ast_finds(real_functions):
    """By the number of lines and by the docstring: nothing of ours but the summary is used."""
    import jinja2
    import tqdm
    import yaml

    expected = set()
    for module in (tqdm, jinja2, yaml):
        for file in Path(module.__file__).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    continue
                docstring, rest = ast.get_docstring(node), node.body[1:]
                code = [n for n in rest if ast.unparse(n) not in ("pass", "...")]
                if docstring and code:
                    expected.add((node.name, pairs.first_sentence(docstring)))
    expected = {(name, summary) for name, summary in expected if summary}
    names = [f.signature.partition("(")[0].split()[-1].split(".")[-1] for f in real_functions]
    found = set(zip(names, (f.summary for f in real_functions), strict=True))
    assert found == expected
    assert len(found) > 300


SUMMARIES = {
    "One sentence.  And another.": "One sentence.",
    "Broken\n    over lines\n\nParameters": "Broken over lines",
    "See e.g. the other. Not this.": "See e.g. the other.",
    "Version 1.5 or later! Really.": "Version 1.5 or later!",
    "Without an end": "Without an end",
    "   \n  ": "",
    "123456789": "",
    "1234567890": "1234567890",
    "First\n   \nafter a line of blanks": "",
}


@pytest.mark.parametrize("docstring", SUMMARIES)
def test_the_first_sentence_of_a_docstring(docstring):
    assert pairs.first_sentence(docstring) == SUMMARIES[docstring]


def test_names_and_bodies_are_of_the_same_functions(embedded, real_functions):
    by_field = [texts for _, texts in embedded.values()]
    for split in SPLITS:
        names, bodies = (texts[split] for texts in by_field)
        assert [target for _, target in names] == [target for _, target in bodies]
        assert all(b.startswith(n) for (n, _), (b, _) in zip(names, bodies, strict=True))
        validation = [text.in_validation(f.summary, 0.2) for f in real_functions]
        there = [f for f, v in zip(real_functions, validation, strict=True) if SPLITS[v] == split]
        assert names == [(f.signature, f.summary) for f in there]
        assert bodies == [(f.body, f.summary) for f in there]


def test_subsets_of_names_and_bodies_are_of_the_same_functions(tmp_path, embedded):
    sizes = {"train_size": 100, "validation_size": 20, "vocabulary": 300}
    by_field = {}
    for field in ("signature", "body"):
        spec = FUNCTIONS | sizes | {"source_field": field}
        _, by_field[field] = prepare(tmp_path, spec, out=field)
    for split, size in (("train", 100), ("validation", 20)):
        everything = embedded["body"][1][split]
        chosen = np.sort(permutation(0, "subset", 0, len(everything))[:size])
        assert by_field["body"][split] == [everything[i] for i in chosen]
        names, bodies = (by_field[field][split] for field in ("signature", "body"))
        assert [target for _, target in names] == [target for _, target in bodies]


def test_no_target_is_in_both_splits(embedded):
    for _, texts in embedded.values():
        train, validation = ({target for _, target in texts[split]} for split in SPLITS)
        assert not train & validation
        share = len(validation) / (len(train) + len(validation))
        # four standard deviations of a binomial
        assert abs(share - 0.2) < 4 * (0.2 * 0.8 / len(train | validation)) ** 0.5


def test_the_origin_of_functions_names_versions(embedded):
    import jinja2

    description, _ = embedded["signature"]
    start = "functions (signature) and docstrings of tqdm "
    assert description["origin"].startswith(start)
    assert f"jinja2 {jinja2.__version__}" in description["origin"]
