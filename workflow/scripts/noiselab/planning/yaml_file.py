"""Files of settings, YAML or JSON, checked as they are read: a mistake is one line with its place.

YAML takes more than settings have: a key that is there twice (the last counts, in silence), dates,
Python objects, numbers to base 60. All of these are refused. Events are looked at one by one,
without recursion, before anything is built from them.
"""

import json
import stat
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import yaml

from noiselab.errors import NoiselabError, first_line, run_script

LARGEST = 2_000_000  # bytes
DEEPEST = 40
MOST = 200_000  # values, those that aliases repeat included
LONGEST_NUMBER = 400  # digits; Python reads no longer ones than 4,300
TAG = "tag:yaml.org,2002:"
PLAIN = {f"{TAG}{name}" for name in ("null", "bool", "int", "float", "str", "map", "seq")}
ODD = {"timestamp": "a date", "value": "the sign =", "merge": "the merge key <<"}
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER = yaml.resolver.Resolver()


def read(path: str | Path) -> dict:
    """The settings of a file, {} of an empty one. NoiselabError: it is missing, broken or says
    what settings cannot say."""
    content = checked(Path(path))
    if content.json:
        return json.loads(content.text)
    try:
        return yaml.load(content.text, Loader=LOADER) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise NoiselabError(_where(path, error)) from error


@dataclass(frozen=True)
class Content:
    """The text of a file that has been checked."""

    text: str
    json: bool


@cache
def checked(path: Path) -> Content:
    """A file's content, once it is known to be settings. NoiselabError: it is not."""
    text = _text(path)
    try:
        json.loads(text, object_pairs_hook=lambda pairs: _once(path, pairs))
    except RecursionError as error:
        raise NoiselabError(f"{path}: nested deeper than {DEEPEST}") from error
    except ValueError:
        _Checked(path).follow(text)
        return Content(text, json=False)
    if not text.lstrip().startswith("{"):
        raise NoiselabError(f"{path}: needs keys at its top level, such as tier: smoke")
    return Content(text, json=True)


def check_or_exit(arguments: list[str]) -> None:
    """Read the files that a command line of Snakemake gives it as --configfile; with one that is
    wrong, say so and end. profiles/default/config.yaml calls this."""
    run_script(lambda: _check_given(arguments))


def _check_given(arguments: list[str]) -> None:
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", default=[])
    parser.add_argument("--config", "-C", nargs="*")  # whose values are none of the files
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for file in parser.parse_known_args(options)[0].configfile:
        if not read(file):
            raise NoiselabError(f"{file}: says nothing; a file of settings has keys")


def _text(path: Path) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise NoiselabError(f"{path}: is no file of settings, but a folder or a device")
        if status.st_size > LARGEST:
            raise NoiselabError(f"{path}: {status.st_size:,} bytes are too many for settings")
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise NoiselabError(f"cannot read {path}: {_reason(error)}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise NoiselabError(f"{path}, line {line}: is not UTF-8; save the file as UTF-8") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _once(path: Path, pairs: list[tuple[str, object]]) -> dict:
    """A mapping of JSON, whose keys are different."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise NoiselabError(f"{path}: key {twice!r} is there twice; remove one")
    return found


def _where(path: str | Path, error: Exception) -> str:
    """What is wrong with a file, and in which line."""
    mark = getattr(error, "problem_mark", None)
    place = f"{path}, line {mark.line + 1}" if mark else str(path)
    problem = getattr(error, "problem", None) or first_line(error)
    if problem.startswith("found character"):
        problem += "; a tab? Indent with blanks, and quote texts that begin with @ or `"
    return f"{place}: is no YAML ({problem})"


@dataclass
class _Collection:
    """A mapping or list that is open."""

    mapping: bool
    anchor: str | None
    line: int
    keys: dict[object, int] = field(default_factory=dict)  # of a mapping -> its line
    count: int = 0  # of what is directly in it
    values: int = 1  # of all that is in it, aliases followed

    @property
    def wants_key(self) -> bool:
        return self.mapping and self.count % 2 == 0


class _Checked:
    """A document, followed event by event."""

    def __init__(self, path: Path):
        self.path = path
        self.open: list[_Collection] = []
        self.anchors: dict[str, int | None] = {}  # name -> values in it; None: still open
        self.line = 1

    def follow(self, text: str) -> None:
        """Look at all events. NoiselabError: settings cannot say such."""
        documents = 0
        for event in self._events(text):
            self.line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse("a second document begins; a file of settings has one")
            elif isinstance(event, yaml.CollectionStartEvent):
                self._begin(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._end()
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event.anchor)
            elif isinstance(event, yaml.ScalarEvent):
                self._scalar(event)

    def _events(self, text: str) -> Iterator[yaml.Event]:
        try:
            yield from yaml.parse(text, Loader=LOADER)
        except yaml.YAMLError as error:
            raise NoiselabError(_where(self.path, error)) from error

    def _refuse(self, why: str) -> None:
        raise NoiselabError(f"{self.path}, line {self.line}: {why}")

    def _begin(self, event) -> None:
        mapping = isinstance(event, yaml.MappingStartEvent)
        if self.open and self.open[-1].wants_key:
            self._refuse("a list or mapping cannot be a key")
        if not (self.open or mapping):
            self._refuse("a list; settings have keys at the top level, such as tier: smoke")
        if len(self.open) >= DEEPEST:
            self._refuse(f"nested deeper than {DEEPEST}")
        self._check_tag(event.tag)
        if event.anchor:
            self.anchors[event.anchor] = None
        self.open.append(_Collection(mapping, event.anchor, self.line))

    def _end(self) -> None:
        done = self.open.pop()
        if done.anchor:
            self.anchors[done.anchor] = done.values
        self._add(done.values)

    def _alias(self, anchor: str) -> None:
        if self.open and self.open[-1].wants_key:
            self._refuse(f"*{anchor} cannot be a key")
        values = self.anchors.get(anchor, 1)
        if values is None:
            self._refuse(f"*{anchor} is inside of itself")
        self._add(values)

    def _scalar(self, event) -> None:
        if not self.open and event.value:
            self._refuse(f"{event.value!r}; settings have keys at the top level, as in tier: smoke")
        self._check_tag(event.tag)
        key = bool(self.open) and self.open[-1].wants_key
        value = event.value
        if event.tag not in (None, "!", f"{TAG}str") or (event.tag is None and event.implicit[0]):
            value = self._plain(event.value, event.tag, key)
        if key:
            self._key(value)
        if event.anchor:
            self.anchors[event.anchor] = 1
        self._add(1)

    def _add(self, values: int) -> None:
        if self.open:
            self.open[-1].count += 1
            self.open[-1].values += values
            if self.open[-1].values > MOST:
                self._refuse(f"more than {MOST:,} values")

    def _check_tag(self, tag: str | None) -> None:
        if tag not in (None, "!") and tag not in PLAIN:
            shown = tag.replace(TAG, "!!")
            self._refuse(f"the tag {shown}; settings are plain texts, numbers, lists and mappings")

    def _plain(self, value: str, tag: str | None, key: bool) -> object:
        """A scalar without quotes, or of a tag that says what it is; a key as it is read."""
        kind = _RESOLVER.resolve(yaml.ScalarNode, value, (True, False)).removeprefix(TAG)
        named = (tag or kind).removeprefix(TAG)
        if named != kind and (named, kind) != ("float", "int"):
            self._refuse(f"{value!r} is no !!{named}")
        if kind in ODD and not (kind == "merge" and key):
            self._refuse(f"{value} is {ODD[kind]}; put a text in quotes")
        if kind in ("int", "float") and ":" in value:
            self._refuse(f"{value} is a number to base 60; put a text in quotes")
        digits = value.lstrip("+-")
        if kind == "int" and digits[0] == "0" and digits.strip("0_").isdigit():
            self._refuse(f"{value} is a number to base 8; drop the 0 in front, or quote it")
        if kind == "int" and len(value) > LONGEST_NUMBER:
            self._refuse(f"a number of {len(value)} digits is too large")
        return yaml.load(value, Loader=LOADER) if key and kind not in ("str", "merge") else value

    def _key(self, key: object) -> None:
        """Keys are one where Python has them as one (1, 1.0 and true), or JSON (1 and "1")."""
        keys = self.open[-1].keys
        text = key if isinstance(key, str) else json.dumps(key)
        for form in (key, text):
            if form in keys:
                self._refuse(f"key {text!r} is there twice, first in line {keys[form]}; remove one")
        keys |= {key: self.line, text: self.line}
