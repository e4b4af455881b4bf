"""Names of experiments, artefacts, data sets and folders: what they are made of, and that no two
are one to a file system, to Snakemake or to whoever reads them."""

import re
from collections.abc import Iterable

from noiselab.data.kinds import KINDS
from noiselab.errors import NoiselabError
from noiselab.families import stages

LONGEST = 80  # characters; files and folders have names that begin or end with it
TARGET = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
SETTINGS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# Rules that no experiment or artefact can be called like.
RULES = {"all", "claims", "audit", "overview", "report", "workflow_report", "resolved_config"}
RULES |= {"plan", "cost", "preflight", "collect_metrics", "run_config", "prepare_out_of_domain"}
RULES |= {"datasets", "masks", "write_mask", "download_inception", "download_model"}
RULES |= {*(stage.rule for stage in stages())}
RULES |= {kind.rule for kind in KINDS.values()} | {k.download for k in KINDS.values() if k.download}
# Folders and files that are there, which a target of this name would be taken for, or they for it.
PLACES = {"results", "data", "config", "rules", "workflow", "profiles", "envs", "docs", "slurm"}
PLACES |= {"tests", "benchmarks", "snakefile", "makefile", "runs", "metrics", "tables", "figures"}
PLACES |= {"analysis", "records", "logs", "own", "only"}
A = {"table": "a table", "figure": "a figure", "analysis": "an analysis"}
DOWNLOADED = {"inception", "models"}  # folders of downloads that are no data sets


def check(config: dict) -> None:
    """All names of a configuration. NoiselabError: one cannot be."""
    targets = {}
    for section in ("artefacts", "experiments"):
        for name in config[section]:
            _check_target(name, f"config key {section}.{name}")
        _check_case(config[section], targets, section)
    for name, entry in config["artefacts"].items():
        if name in config["experiments"] and name not in entry.get("experiments", ()):
            raise NoiselabError(
                f"config key experiments.{name}: {name} is {A[entry['kind']]} that shows others; "
                "choose another name"
            )
    for name in config["datasets"]:
        key, rule = f"config key datasets.{name}", "letters, digits, _ and -, none of these two"
        _check_form(name, FOLDER, key, f"{rule} first")
        if name.lower() in DOWNLOADED:
            raise NoiselabError(f"{key}: {name} is the name of a folder here; choose another")
    _check_case(config["datasets"], {}, "datasets")
    if config["name"] is not None:
        rule = "letters, digits, _, - and ., a letter or digit first"
        _check_form(config["name"], SETTINGS, "config key name", rule)


def _check_target(name: str, key: str) -> None:
    _check_form(name, TARGET, key, "letters, digits and _, a letter first")
    for kind, names in (("rule", RULES), ("folder or file", PLACES)):
        if name.lower() in names:
            taken = name if name in names else f"{name.lower()}, but for capitals,"
            raise NoiselabError(f"{key}: {taken} is the name of a {kind}; choose another")


def _check_form(name: str, form: re.Pattern, key: str, rule: str) -> None:
    if not form.fullmatch(name):
        raise NoiselabError(f"{key}: a name has {rule}")
    if len(name) > LONGEST:
        raise NoiselabError(
            f"{key[:60]}…: a name has at most {LONGEST} characters, not {len(name)}"
        )


def _check_case(names: Iterable[str], known: dict[str, str], section: str) -> None:
    """Names that differ in capitals only are one file on some systems. known: by lower case."""
    for name in names:
        other = known.setdefault(name.lower(), name)
        if other != name:
            raise NoiselabError(
                f"config key {section}.{name}: {other} is the same but for capitals; choose another"
            )
