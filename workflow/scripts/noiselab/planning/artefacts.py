"""Tables, figures and analyses: from the entries of the configuration to what is planned."""

from dataclasses import dataclass, replace

from noiselab.families import FAMILIES
from noiselab.planning.choices import CHOICES
from noiselab.planning.runs import Plan

ALL = "all"  # in place of a family
FAMILY_TITLES = {ALL: "All families"}
FAMILY_TITLES |= {family.name: family.title for family in FAMILIES.values()} | {"theory": "Theory"}


@dataclass(frozen=True)
class Artefact:
    """A table, a figure or an analysis that is planned."""

    name: str
    entry: dict  # of the configuration
    experiments: tuple[str, ...] = ()  # those of its entry that are planned
    analyses: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()  # ids of the runs whose files it reads
    options: dict | None = None  # of an analysis

    @property
    def kind(self) -> str:
        """table, figure or analysis."""
        return self.entry["kind"]

    @property
    def job(self) -> str:
        """Name of the job that makes it."""
        return f"{'analysis' if self.kind == 'analysis' else self.kind + 's'}/{self.name}"

    @property
    def chapter(self) -> str:
        """The report's chapter that it is in."""
        return FAMILY_TITLES[self.entry["family"]]


def planned(config: dict, plan: Plan, audited: set[str]) -> dict[str, Artefact]:
    """The artefacts whose sources are planned, in the order of the configuration. Experiments that
    none of these tables shows, nor the audit, have a table of their own name."""
    entries = config["artefacts"]
    found = {
        name: _resolved(name, entry, config, plan, audited)
        for name, entry in entries.items()
        if entry["kind"] == "analysis"
    }
    found = {name: artefact for name, artefact in found.items() if artefact}
    for kind in ("table", "figure"):
        for name, entry in entries.items():
            if entry["kind"] == kind:
                artefact = _resolved(name, entry, config, plan, audited)
                artefact = artefact and _sourced(artefact, found)
                if artefact:
                    found[name] = artefact
        if kind == "table":
            shown = {e for artefact in found.values() for e in artefact.experiments}
            for name, runs in plan.experiments.items():
                if name not in shown | audited | found.keys():
                    found[name] = _own_table(name, plan.runs[runs[0]]["family"])
    order = [*entries, *plan.experiments]
    return dict(sorted(found.items(), key=lambda item: order.index(item[0])))


def _own_table(name: str, family: str) -> Artefact:
    """The table of an experiment that no entry names."""
    builder = FAMILIES[family].table
    entry = {"kind": "table", "family": family, "builder": builder, "experiments": [name]}
    return Artefact(name, entry, experiments=(name,))


def _resolved(name: str, entry: dict, config: dict, plan: Plan, audited: set[str]):
    """An artefact with its planned experiments and its runs; None where these are not planned."""
    wanted = entry.get("experiments", ())
    experiments = tuple(e for e in wanted if e in plan.experiments)
    enough = any if entry.get("needs") == "any" else all
    if wanted and not enough(e in plan.experiments for e in wanted):
        return None
    pairs = [{pair["first"], pair["second"]} for pair in entry.get("contrasts", ())]
    if pairs and not any(pair <= set(experiments) for pair in pairs):
        return None  # nothing to set side by side
    runs: tuple[str, ...] = ()
    if "runs" in entry:
        runs = _runs(entry["runs"], experiments, config, plan, audited)
        if not runs:
            return None
    options = None
    if entry["kind"] == "analysis":
        settings = config["analyses"].get(entry.get("settings"), {})
        options = {option: settings[option] for option in entry.get("options", ())}
    sources = {key: tuple(entry.get(key, ())) for key in ("analyses", "tables")}
    return Artefact(name, entry, experiments, runs=runs, options=options, **sources)


def _sourced(artefact: Artefact, found: dict[str, Artefact]) -> Artefact | None:
    """An artefact with those of its analyses and tables that are planned; None where they are not
    enough."""
    sources = artefact.analyses + artefact.tables
    enough = any if artefact.entry.get("needs") == "any" else all
    if sources and not enough(source in found for source in sources):
        return None
    kept = {
        key: tuple(source for source in getattr(artefact, key) if source in found)
        for key in ("analyses", "tables")
    }
    return replace(artefact, **kept)


def _runs(
    chosen: dict, experiments: tuple[str, ...], config: dict, plan: Plan, audited: set[str]
) -> tuple[str, ...]:
    """Ids of runs that an entry chooses: of the experiment that `runs` names, or else of its own
    `experiments`, or else of all."""
    if "experiment" in chosen:
        runs = plan.experiments.get(_experiment(chosen["experiment"], config), [])
    else:
        shown = experiments or [e for e in plan.experiments if e not in audited]
        runs = list(dict.fromkeys(run for e in shown for run in plan.experiments[e]))
    return tuple(CHOICES[chosen["choose"]](plan, runs)) if runs else ()


def _experiment(name: str, config: dict) -> str:
    """An experiment's name, or that which a section of `analyses` names."""
    section = name.removeprefix("analyses.")
    return config["analyses"][section]["experiment"] if section != name else name
