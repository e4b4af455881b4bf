"""Files of settings: each mistake is one line with file and line, before Snakemake reads them."""

import json
import os

import pytest
import yaml

from noiselab.errors import NoiselabError
from noiselab.planning import config, yaml_file
from project import Project

BROKEN = {  # content -> what its message says behind the file's name
    b"a: 1\nb: 2\na: 3\n": ", line 3: key 'a' is there twice, first in line 1",
    b"a: {b: 1, c: 2, b: 3}": ", line 1: key 'b' is there twice",
    b"a:\n  b: 1\n  b: 1\n": ", line 3: key 'b' is there twice",
    b"- {a: 1}\n": ", line 1: a list",
    b'a: {0.5: 1, "0.5": 2}': ", line 1: key '0.5' is there twice",
    b"a: {0.50: 1, 0.5: 2}": ", line 1: key '0.5' is there twice",
    b"null: 1\n~: 2": ", line 2: key 'null' is there twice",
    b"yes: 1\ntrue: 2": ", line 2: key 'true' is there twice",
    b"a: &a {b: *a}": ", line 1: *a is inside of itself",
    b"a: &a\n  <<: *a": ", line 2: *a is inside of itself",
    b"a: &a [1, [*a]]": ", line 1: *a is inside of itself",
    b"a: *b": ", line 1: is no YAML",
    b"a: 1\nb: caf\xe9": ", line 2: is not UTF-8",
    "a: 1".encode("utf-16"): ", line 1: is not UTF-8",
    b"a: 2024-01-01": ", line 1: 2024-01-01 is a date",
    b"a: 2024-13-45": ", line 1: 2024-13-45 is a date",
    b"a: 2001-12-14t21:59:43.10-05:00": ", line 1: 2001-12-14t21:59:43.10-05:00 is a date",
    b"a: 1:30": ", line 1: 1:30 is a number to base 60",
    b"a: 010": ", line 1: 010 is a number to base 8",
    b"a: =": ", line 1: = is the sign =",
    b"a: [<<]": ", line 1: << is the merge key",
    b"a: !!set {x, y}": ", line 1: the tag !!set",
    b"a: !!omap [x: 1]": ", line 1: the tag !!omap",
    b"a: !!binary aGk=": ", line 1: the tag !!binary",
    b"a: !!python/name:os.system ": ", line 1: the tag !!python/name:os.system",
    b"a: !!python/object/apply:os.getpid []": ", line 1: the tag !!python/object/apply:os.getpid",
    b"a: !mine 1": ", line 1: the tag !mine",
    b"a: !!int abc": ", line 1: 'abc' is no !!int",
    b"a: !!int ''": ", line 1: '' is no !!int",
    b"a: !!bool maybe": ", line 1: 'maybe' is no !!bool",
    b"a: !!null x": ", line 1: 'x' is no !!null",
    b"!!bool maybe: 1": ", line 1: 'maybe' is no !!bool",
    b"a: !!int 1:30": ", line 1: 1:30 is a number to base 60",
    b"a: !!int 010": ", line 1: 010 is a number to base 8",
    b"a: {1: 2, 1.0: 3}": ", line 1: key '1.0' is there twice",
    b"a: {0: 2, -0.0: 3}": ", line 1: key '-0.0' is there twice",
    b"a: {1: 2, true: 3}": ", line 1: key 'true' is there twice",
    b"a: " + b"9" * 5000: ", line 1: a number of 5000 digits is too large",
    b"a:\n\tb: 1": ", line 2: is no YAML",
    b"text": ", line 1: 'text'; settings have keys",
    b"3": ": needs keys at its top level",
    b"a: 1\n---\nb: 2": ", line 2: a second document begins",
    b"? [a]\n: 1": ", line 1: a list or mapping cannot be a key",
    b"? {a: 1}\n: 1": ", line 1: a list or mapping cannot be a key",
    b"a: &a x\n*a : 1": ", line 2: *a cannot be a key",
    b"a: {<<: 3}": ", line 1: is no YAML",
    b"a: \x00": ": is no YAML",
    b"a: b: c": ", line 1: is no YAML",
    b"a: {b": ", line 2: is no YAML",
    b"a: @b": ", line 1: is no YAML",
    b"a: " + b"[" * 60 + b"]" * 60: ", line 1: nested deeper than 40",
    b"[" * 100_000: ": nested deeper than 40",
    b'{"a": 1, "a": 2}': ": key 'a' is there twice",
    b'{"a": {"b": 1, "c": 2, "b": 1}}': ": key 'b' is there twice",
    b"[1, 2]": ": needs keys at its top level",
    b"x" * (yaml_file.LARGEST + 1): ": 2,000,001 bytes are too many for settings",
}
ALIASES = [b"a0: &a0 [" + b"x, " * 20 + b"]"]
ALIASES += [b"a%d: &a%d [%s]" % (i, i, b", ".join([b"*a%d" % (i - 1)] * 20)) for i in range(1, 9)]
BROKEN[b"\n".join(ALIASES)] = ", line 5: more than 200,000 values"


@pytest.mark.parametrize(
    ("content", "message"), BROKEN.items(), ids=[str(content[:24]) for content in BROKEN]
)
def test_a_broken_file_is_one_line_that_names_it(content, message, tmp_path):
    file = tmp_path / "own.yaml"
    file.write_bytes(content)
    for _ in range(2):  # the second time, too
        with pytest.raises(NoiselabError) as error:
            yaml_file.read(file)
        place, _, rest = str(error.value).partition("own.yaml")
        assert place == f"{tmp_path}/"
        assert rest.startswith(message)
        assert "\n" not in str(error.value)


def test_what_is_no_file_is_one_line_that_names_it(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # would be waited for
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing.yaml", tmp_path / ("x" * 300)):
        with pytest.raises(NoiselabError, match=str(path)) as error:
            yaml_file.read(path)
        assert "\n" not in str(error.value)


GOOD = [
    "",
    "# nothing\n",
    "\ufeffa: 1",
    "a: &x {b: 1}\nc: {<<: *x, d: 2}",
    "a: &x {b: 1}\nc: &y {e: 3}\nd: {<<: [*x, *y], b: 2}",
    "a: [&x 1, *x]",
    "a: 0x10\nb: 1_000\nc: 1.0e+3\nd: .inf\ne: ~\nf: '2024-01-01'\ng: !!str 2024\nh: 08\ni: 0",
    "a: {}\nb: []\nc: ''",
    '{"a": [1, 2.5, null, true, {"b": "c"}]}',
    '{\t"a": 1}',
]


@pytest.mark.parametrize("text", GOOD)
def test_what_settings_may_say_is_read_as_other_readers_do(text, tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(text, encoding="utf-8")
    try:
        expected = json.loads(text)
    except ValueError:
        expected = yaml.safe_load(text) or {}
    assert yaml_file.read(file) == expected


def test_the_projects_own_files_are_checked_too(monkeypatch, tmp_path):
    (tmp_path / "smoke.yaml").write_text("tier: smoke\ntier: smoke\n", encoding="utf-8")
    monkeypatch.setattr(config, "TIERS", tmp_path)
    with pytest.raises(NoiselabError, match=r"smoke.yaml, line 2: key 'tier' is there twice"):
        config.load(tier="smoke")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("tier: ../tiers/smoke", "tier: no tier '../tiers/smoke'"),
        ("tier: Smoke", "tier: no tier 'Smoke' (did you mean smoke?)"),
        ("tier: [smoke]", "tier: no tier ['smoke']"),
        ("tier: null", "tier: no tier None"),
        ("studies: [low_quality]", "studies: no study 'low_quality' (did you mean"),
        ("studies: ../studies", "studies: no study '../studies'"),
        ("studies: 3", "studies: 3 is neither all nor a list"),
        ("studies: {a: 1}", "studies: {'a': 1} is neither all nor a list"),
    ],
)
def test_a_wrong_tier_is_told_though_another_file_overrules_it(content, message, tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(NoiselabError) as error:
        config.check_given([file])
    assert f"{file}: config key {message}" in str(error.value)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return Project(tmp_path_factory.mktemp("project") / "project")


def told(project, content, *options):
    """What is told of a file by a dry run, without what Snakemake says of its own."""
    (project.folder / "own.yaml").write_bytes(content)
    options = (*options, "-n", "--config", "tier=smoke", "--configfile", "own.yaml", "--", "table2")
    done = project.call(*options, check=False)
    assert done.returncode == 1
    own = ("Using workflow specific profile", "Config file")
    return [line for line in done.stderr.splitlines() if not line.startswith(own)]


@pytest.mark.parametrize("content", [b"experiments: &a {table2: *a}", b"x: caf\xe9"], ids=ascii)
def test_what_snakemake_would_end_at_is_told_before(project, content):
    (line,) = told(project, content)
    assert line.startswith("noiselab: own.yaml, line 1: ")


def test_without_the_projects_profile_keys_are_still_told(project):
    (line,) = told(project, b"seeds: [0]\nseeds: [1]", "--workflow-profile", "none")
    assert line.startswith("noiselab: ")
    assert "own.yaml, line 2: key 'seeds' is there twice" in line
