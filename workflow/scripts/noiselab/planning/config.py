"""The configuration: its files, and checks of what they say together.

Every mistake is one line that names the key.
"""

import json
import math
import os
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import jsonschema

from noiselab.errors import NoiselabError
from noiselab.files import ROOT
from noiselab.noise import registry
from noiselab.planning import schema, unused
from noiselab.planning.hints import hint
from noiselab.planning.yaml_file import read as read_yaml

CONFIG = ROOT / "config"
SCHEMA = CONFIG / "schema.yaml"
TIERS = CONFIG / "tiers"
STUDIES = CONFIG / "studies"
FAMILY_FILES = CONFIG / "families"
TASKS = CONFIG / "tasks"
FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # of a study
STUDY_FILES = ("experiments.yaml", "artefacts.yaml")


def known_studies() -> list[str]:
    """Names of the studies, in their order."""
    return sorted(path.name for path in STUDIES.iterdir() if path.is_dir())


def studies(config: dict) -> list[str]:
    """The studies that a configuration selects; NoiselabError names one that there is not."""
    chosen, known = config.get("studies"), known_studies()
    if chosen == "all":
        return known
    chosen = [chosen] if isinstance(chosen, str) else chosen or []
    if not isinstance(chosen, list):
        raise NoiselabError(f"config key studies: {chosen!r} is neither all nor a list of names")
    for name in chosen:
        if name not in known:
            raise NoiselabError(f"config key studies: no study {name!r} ({hint(name, known)})")
        if not FOLDER.fullmatch(name):
            raise NoiselabError(
                f"config key studies: a name has letters, digits, _ and -: {name!r}"
            )
    return list(chosen)


def tier_file(config: dict) -> Path:
    """Overlay of `config["tier"]`; NoiselabError if there is no such tier."""
    known = sorted(path.stem for path in TIERS.glob("*.yaml"))
    tier = config.get("tier")
    if tier not in known:
        raise NoiselabError(f"config key tier: no tier {tier!r} ({hint(tier, known)})")
    return TIERS / f"{tier}.yaml"


def overlays(config: dict) -> list[Path]:
    """The files that follow config.yaml, each laid over those before: families, tasks, chosen
    studies, tier, and what the tier changes in these studies."""
    tier, chosen = tier_file(config), studies(config)
    files = sorted(FAMILY_FILES.glob("*.yaml")) + sorted(TASKS.glob("*.yaml"))
    files += [STUDIES / study / name for study in chosen for name in STUDY_FILES]
    files += [tier, *(STUDIES / study / "tiers" / tier.name for study in chosen)]
    return [file for file in files if file.is_file()]


def load(*changes: dict | str | Path, tier: str | None = None) -> dict:
    """The configuration as the Snakefile sees it: defaults, studies and tier, then `changes`."""
    changes = [c if isinstance(c, dict) else read_yaml(c) for c in changes]
    selected = read_yaml(CONFIG / "config.yaml")
    for change in changes:
        selected |= {key: change[key] for key in ("tier", "studies") if key in change}
    if tier:
        selected["tier"] = tier
    given: dict = {}
    for change in changes:
        given = merge(given, change)
    return merged(selected, given)


def standard(selected: dict) -> dict:
    """The configuration of the files alone, for the tier and the studies of `selected`; not yet
    validated."""
    config = read_yaml(CONFIG / "config.yaml")
    config |= {key: selected[key] for key in ("tier", "studies")}
    for file in overlays(config):
        config = merge(config, read_yaml(file))
    return config


def check_given(files: Iterable[str | Path]) -> None:
    """Read the files of --configfile again, which Snakemake does not check. NoiselabError: one says
    a key twice, or has a tier or studies that there are not, be it that another overrules them."""
    for file in files:
        content = read_yaml(file)
        try:
            if "tier" in content:
                tier_file(content)
            studies(content)
        except NoiselabError as error:
            raise NoiselabError(f"{file}: {error}") from error


def merged(selected: dict, given: dict) -> dict:
    """The validated configuration for the tier and the studies of `selected`, with what was given
    on the command line laid over the files."""
    usual = standard(selected)
    config = validate(merge(usual, given))
    unused.check(different(typed(given), typed(usual)), config)
    return config


def different(given: dict, usual: dict) -> dict:
    """What of `given` is not as usual: a configuration that was kept says all of it."""
    found = {}
    for key, value in given.items():
        other = usual.get(key)
        if isinstance(value, dict) and isinstance(other, dict):
            value, other = different(value, other), {}
        if value != other:
            found[key] = value
    return found


def merge(base: dict, changes: dict) -> dict:
    """`base` with `changes` laid over it: mappings are merged key by key, the rest replaced.
    Another model has none of the settings of the one it replaces."""
    merged = dict(base)
    for key, value in changes.items():
        before = merged.get(key)
        nested = isinstance(value, dict) and isinstance(before, dict)
        another = nested and key == "model" and value.get("name") not in (None, before.get("name"))
        merged[key] = merge(before, value) if nested and not another else value
    return merged


def typed(config: dict) -> dict:
    """The configuration with string keys throughout, and numbers that Snakemake's `--config` nests
    as strings."""
    return _typed(_plain(config))


def _plain(config: dict) -> dict:
    """The configuration as JSON has it: YAML keys such as 0.5 become strings."""
    try:
        return json.loads(json.dumps(config))
    except (ValueError, TypeError, RecursionError) as error:
        raise NoiselabError(f"the configuration cannot be read as data: {error}") from error


def validate(config: dict) -> dict:
    """The configuration, typed; NoiselabError at the first mistake."""
    plain = _plain(config)
    config = _typed(plain)
    config["studies"] = studies(config)
    _check_values(config)
    errors = [e for e in _validator().iter_errors(config) if not _was_text(e, config, plain)]
    if errors:
        first = min(errors, key=lambda e: (len(e.path), str(e.path)))
        raise NoiselabError(_one_line(first) + _meant(first, config))
    _check_root(config["data"].get("root"))
    return config


def _check_root(root: str | None) -> None:
    """The folder of local data is there and can be looked into."""
    if root is None:
        return
    if not os.path.isdir(root):
        if os.path.exists(root):
            raise NoiselabError(f"config key data.root: {root} is no folder, but a file")
        home = "; ~ is not followed here" if root.startswith("~") else ""
        raise NoiselabError(f"config key data.root: no folder {root or repr(root)}{home}")
    if not os.access(root, os.R_OK | os.X_OK):
        raise NoiselabError(f"config key data.root: no right to read {root}")


LARGEST = 2**63 - 1  # what a counter or a seed can be
UNSAFE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # in files' names, or on a terminal


def _check_values(config: dict) -> None:
    """Numbers are finite (others compare with nothing) and of 64 bits, texts one line."""
    for key, value in _leaves(config, ""):
        if isinstance(value, float) and not math.isfinite(value):
            raise NoiselabError(f"config key {key}: {value} is no finite number")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise NoiselabError(
                f"config key {key}: a number of {len(str(value))} digits is too large"
            )
        if UNSAFE.search(f"{key}{value}" if isinstance(value, str) else key):
            raise NoiselabError(f"config key {key}: a line break or control character in a text")


def _leaves(value, key: str) -> Iterator[tuple[str, object]]:
    """(key, value) of all that is neither a mapping nor a list."""
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _leaves(item, f"{key}.{name}" if key else name)
    elif isinstance(value, list) and value:
        for i, item in enumerate(value):
            yield from _leaves(item, f"{key}[{i}]")
    else:
        yield key, value


def _was_text(error: jsonschema.ValidationError, config: dict, plain: dict) -> bool:
    """Whether a number stands where a text belongs, and was one (a folder called 2024): then it is
    put back."""
    path = list(error.absolute_path)
    wants_text = error.validator == "type" and "string" in error.validator_value
    if not (wants_text and path):
        return False
    for part in path:
        plain = plain[part]
    if not isinstance(plain, str):
        return False
    for part in path[:-1]:
        config = config[part]
    config[path[-1]] = plain
    return True


def _typed(value):
    """Numbers, booleans and null as such."""
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    if isinstance(value, str):
        try:
            parsed = json.loads(value)
        except ValueError:
            return value
        return parsed if parsed is None or isinstance(parsed, (bool, int, float)) else value
    return value


def _one_line(error: jsonschema.ValidationError) -> str:
    key = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.absolute_path)
    key = key.lstrip(".") or "(top level)"
    if error.validator == "required":
        missing = next(k for k in error.validator_value if k not in error.instance)
        return f"config key {key}.{missing}: is missing"
    if error.validator == "enum" and isinstance(error.instance, str):
        known = hint(error.instance, [v for v in error.validator_value if isinstance(v, str)])
        return f"config key {key}: no {error.instance!r} ({known})"
    if error.validator != "additionalProperties":
        wanted = error.schema.get("description")
        told = f"{error.instance!r} is not {wanted}" if wanted else error.message
        return f"config key {key}: {told}"
    known = list(error.schema["properties"])
    unknown = next(k for k in error.instance if k not in known)
    known = error.schema.get(schema.OF_MODELS, {}).get(error.instance.get("name"), known)
    prefix = "" if key == "(top level)" else f"{key}."
    return f"config key {prefix}{unknown}: unknown key ({hint(unknown, known)})"


def _meant(error: jsonschema.ValidationError, config: dict) -> str:
    """Which entry was meant, where a misspelt one lacks what a new one needs."""
    path = list(error.absolute_path)
    if error.validator != "required" or len(path) != 2:
        return ""
    others = [name for name in config[path[0]] if name != path[1]]
    close = get_close_matches(path[1], others, n=1)
    return f"; did you mean {path[0]}.{close[0]}?" if close else ""


def _is_integer(checker, value) -> bool:
    """Whether a value is an integer as written: 1.0 and true are none."""
    return isinstance(value, int) and not isinstance(value, bool)


_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


def dataset_keys() -> set[str]:
    """All keys that data sets of any kind have."""
    defs = _validator().schema["$defs"]
    return {key for name in schema.DATASETS for key in defs[name].get("properties", ())}


def check_dataset(name: str, spec: dict, definition: str) -> None:
    """NoiselabError where a value of a specification is not what a definition of the schema says;
    keys that it does not have are not looked at."""
    defs = _validator().schema["$defs"]
    keys = {k: v for k, v in defs[definition]["properties"].items() if k != "kind"}
    whole = {
        "$defs": defs,
        "properties": {"datasets": {"properties": {name: {"properties": keys}}}},
    }
    error = jsonschema.exceptions.best_match(
        _Validator(whole).iter_errors({"datasets": {name: spec}})
    )
    if error:
        raise NoiselabError(_one_line(error))


@cache
def _validator() -> jsonschema.Draft202012Validator:
    # Analyses of the studies have resources of their own.
    files = [file for study in known_studies() for file in (STUDIES / study).glob("artefacts.yaml")]
    entries = [entry for file in files for entry in read_yaml(file)["artefacts"].values()]
    rules = {e.get("resources") or e["builder"] for e in entries if e["kind"] == "analysis"}
    return _Validator(schema.whole(read_yaml(SCHEMA), registry.known(), rules))


SECTIONS = ("artefacts", "claims", "classes", "competence")  # whose entries several studies have


def _of_studies(name: str, chosen: list[str] | None) -> dict:
    """The entries of a file of the studies, by default of all. NoiselabError: two have the same."""
    merged: dict = {}
    for study in known_studies() if chosen is None else chosen:
        file = STUDIES / study / name
        for key, entry in (read_yaml(file) if file.is_file() else {}).items():
            if key in SECTIONS:
                _add(merged.setdefault(key, {}), entry, file)
            else:
                _add(merged, {key: entry}, file)
    return merged


def _add(entries: dict, more: dict, file: Path) -> None:
    for key, entry in more.items():
        if entries.setdefault(key, entry) != entry:
            raise NoiselabError(f"{file}: {key} is in another study, too")


def about(study: str) -> dict:
    """What a study is about: name, title, question, paper (title, authors, venue, url) and answers
    (asks, table, row), and the names of its claims and artefacts, among them the tables of
    experiments that no artefact names. Its file study.yaml may be missing."""
    file = STUDIES / study / "study.yaml"
    told = {"title": study.replace("_", " ").capitalize(), "question": "", "paper": None}
    told["answer"] = []
    sections = {"artefacts": "artefacts.yaml", "claims": "claims.yaml"}
    names = {key: list(_of_studies(name, [study]).get(key, {})) for key, name in sections.items()}
    names["artefacts"] += _of_studies("experiments.yaml", [study]).get("experiments", {})
    return {"name": study} | told | (read_yaml(file) if file.is_file() else {}) | names


def published(chosen: list[str] | None = None) -> dict:
    """The papers' numbers, with place and title of the artefacts that show them, and claims; of
    these studies or of all."""
    numbers = _of_studies("published.yaml", chosen)
    for name, entry in _of_studies("artefacts.yaml", chosen).get("artefacts", {}).items():
        heads = {key: entry[key] for key in ("place", "title") if key in entry}
        if name in numbers:
            numbers[name] = heads | numbers[name]
    return numbers | _of_studies("claims.yaml", chosen)


def audit(chosen: list[str] | None = None) -> dict:
    """What is compared between the papers' texts and their code."""
    return _of_studies("audit.yaml", chosen)
