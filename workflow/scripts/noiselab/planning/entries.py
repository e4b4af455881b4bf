"""Entries of artefacts: what they name must be there. A mistake is one line that names the key."""

import re
from collections.abc import Iterable

from noiselab.errors import NoiselabError
from noiselab.files import ROOT
from noiselab.planning import code
from noiselab.planning.artefacts import ALL
from noiselab.planning.choices import CHOICES
from noiselab.planning.hints import hint

CAPTIONS = ROOT / "workflow" / "report"
FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")  # in the folder that is meant
BUILDERS = {  # kind -> (module, name of its dictionary)
    "table": (("noiselab.answers.builders", "TABLES"),),
    "figure": (("noiselab.answers.builders", "FIGURES"), ("noiselab.answers.figures", "FIGURES")),
}


def check(config: dict, titles: dict[str, str]) -> None:
    """All entries of a configuration. titles: family -> its title. NoiselabError: one cannot be."""
    for name, entry in config["artefacts"].items():
        key = f"config key artefacts.{name}"
        _check_sources(entry, config, titles, key)
        _check_builder(entry, key)
        _check_runs(entry, config, titles, key)
        _check_settings(entry, config, key)
        _check_files(entry, key)
    _check_circles(config["artefacts"])
    _check_outputs(config["artefacts"])


def _check_name(name: str, known: Iterable[str], key: str, what: str = "") -> None:
    known = list(known)
    if name not in known:
        raise NoiselabError(f"{key}: no {what}{name!r} ({hint(name, known)})")


def _check_sources(entry: dict, config: dict, titles: dict, key: str) -> None:
    """Experiments, analyses and tables that it is made from."""
    kinds = {name: other["kind"] for name, other in config["artefacts"].items()}
    experiments = list(config["experiments"])
    known = {
        "experiments": experiments,
        "analyses": [n for n, kind in kinds.items() if kind == "analysis"],
        "tables": [n for n, kind in kinds.items() if kind == "table"] + experiments,
    }
    _check_name(entry["family"], titles, f"{key}.family")
    for part, names in known.items():
        for source in entry.get(part, ()):
            _check_name(source, names, f"{key}.{part}")


def _check_builder(entry: dict, key: str) -> None:
    """A table or figure has a function that makes it, an analysis a script."""
    kind, builder = entry["kind"], entry["builder"]
    if kind == "analysis":
        if not (code.SCRIPTS / f"{builder}.py").is_file():
            raise NoiselabError(f"{key}.builder: no script workflow/scripts/{builder}.py")
        return
    known = [word for place in BUILDERS[kind] for word in code.words(*place)]
    _check_name(builder, known, f"{key}.builder", f"{kind} builder ")
    if kind == "figure" and "title" not in entry:
        raise NoiselabError(f"{key}.title: a figure needs one")
    if builder == "runs" and "experiments" not in entry:
        raise NoiselabError(f"{key}.experiments: missing; it is a table of their runs")
    metrics = code.words("noiselab.measures.scores", "UNITS")
    for metric in entry.get("metrics", ()):
        _check_name(metric.removeprefix("snapshot_"), metrics, f"{key}.metrics")


def _check_runs(entry: dict, config: dict, titles: dict, key: str) -> None:
    """Runs are chosen by a function, of an experiment or of one that a section names; an analysis
    measures those of its own family and, where it is about one, of one noise."""
    chosen = entry.get("runs")
    if chosen is None:
        return
    _check_name(chosen["choose"], CHOICES, f"{key}.runs.choose", "choice ")
    name, place = chosen.get("experiment"), f"{key}.runs.experiment"
    if name is None:
        _check_measured(entry, config, titles, key)
        return
    section = name.removeprefix("analyses.")
    if section != name:
        named = {s: o["experiment"] for s, o in config["analyses"].items() if "experiment" in o}
        _check_name(section, named, place, "section of analyses ")
        name, place = named[section], f"config key analyses.{section}.experiment"
    experiment = config["experiments"].get(name, {})
    if entry["kind"] == "analysis" and experiment.get("family") != entry["family"]:
        title = titles[entry["family"]].lower()
        raise NoiselabError(f"{place}: {name!r} is no experiment with {title}")
    _check_name(name, config["experiments"], place, "experiment ")
    noise = chosen.get("corruption")
    if noise not in (None, experiment.get("corruption")):
        raise NoiselabError(
            f"{place}: {name} has {experiment.get('corruption')}, and this is of {noise}; name an "
            "experiment that has it"
        )


def _check_measured(entry: dict, config: dict, titles: dict, key: str) -> None:
    """An analysis whose runs are of no one experiment names several, of its family, or is of all
    families and measures all that its choice takes."""
    if entry["kind"] != "analysis" or entry["family"] == ALL:
        return
    if "experiments" not in entry:
        raise NoiselabError(f"{key}.runs.experiment: missing")
    for name in entry["experiments"]:
        if config["experiments"][name]["family"] != entry["family"]:
            title = titles[entry["family"]].lower()
            raise NoiselabError(f"{key}.experiments: {name!r} is no experiment with {title}")


OF_ANALYSES = ("settings", "options", "files", "resources")  # keys


def _check_settings(entry: dict, config: dict, key: str) -> None:
    """Options of an analysis are in its section; a table or figure has none."""
    settings = entry.get("settings")
    if entry["kind"] != "analysis":
        for part in OF_ANALYSES:
            if part in entry:
                raise NoiselabError(f"{key}.{part}: only an analysis has it, not a {entry['kind']}")
    if "options" in entry and settings is None:
        raise NoiselabError(f"{key}.settings: missing; options are of a section of analyses")
    if "resources" in entry:
        _check_name(entry["resources"], config["resources"], f"{key}.resources")
    if settings is not None:
        _check_name(settings, config["analyses"], f"{key}.settings")
    for option in entry.get("options", ()):
        if option not in config["analyses"].get(settings, {}):
            raise NoiselabError(f"config key analyses.{settings}.{option}: missing")


def _check_files(entry: dict, key: str) -> None:
    """Names of files are in the folder that is meant; a caption is there."""
    named = [("files", name) for name in entry.get("files", ())]
    named += [("runs.file", entry["runs"]["file"])] if "file" in entry.get("runs", {}) else []
    named += [("caption", entry["caption"])] if "caption" in entry else []
    for part, name in named:
        if not FILE.fullmatch(name):
            raise NoiselabError(f"{key}.{part}: {name!r} is no name of a file without its folder")
    caption = entry.get("caption")
    if caption and not ((CAPTIONS / caption).is_file() or any(CAPTIONS.glob(f"*/{caption}"))):
        raise NoiselabError(f"{key}.caption: no {caption} in workflow/report/ or its folders")


def _check_circles(entries: dict) -> None:
    """No table is made from itself, by way of others or not."""

    def follow(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            way = " from ".join([*above[above.index(name) :], name])
            raise NoiselabError(f"config key artefacts.{name}.tables: {way}")
        for table in entries.get(name, {}).get("tables", ()):
            follow(table, (*above, name))

    for name in entries:
        follow(name, ())


def _check_outputs(entries: dict) -> None:
    """No two analyses write the same file."""
    makers: dict[str, str] = {}
    for name, entry in entries.items():
        for file in entry.get("files", [f"{name}.csv"]) if entry["kind"] == "analysis" else ():
            other = makers.setdefault(file, name)
            if other != name:
                raise NoiselabError(
                    f"config key artefacts.{name}.files: {other} writes {file}, too"
                )
