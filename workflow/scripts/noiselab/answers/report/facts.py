"""What a reader must know before any number: data, seeds, machines, code, time, what is missing."""

from pathlib import Path

import pandas as pd

from noiselab import reading
from noiselab.answers.layouts import NAMES
from noiselab.planning.provenance import PACKAGES

PIECES = {
    "claims": "verdicts on the paper's claims",
    "spectrum": "the spectrum, a figure",
    "audit": "audit of text against code",
    "cost": "cost of the runs",
    "overview": "what was run",
}
SHORT = 7  # characters of a revision where there is little room


def facts(runs: dict[str, dict], datasets: dict[str, dict], items: list[dict]) -> dict:
    """Of the finished runs (runs.read), the data sets by name, and the tables that there are."""
    trainings = [run["training"] for run in runs.values()]
    evaluated = [run["metrics"]["evaluation_revision"] for run in runs.values() if run["metrics"]]
    revisions = sorted({t["revision"] for t in trainings} | set(evaluated))
    return {
        "datasets": _datasets(runs, datasets),
        "seeds": seeds(items),
        "devices": sorted({t["device"] for t in trainings}),
        "threads": sorted({t["threads"] for t in trainings if "threads" in t}),
        "versions": [
            f"{name} {', '.join(sorted({t[name] for t in trainings if name in t}))}"
            for name in ("python", *PACKAGES)
        ],
        "revisions": revisions,
        "short_revisions": [_short(revision) for revision in revisions],
        "uncommitted": any(r.endswith("+changed") or r == "unknown" for r in revisions),
        "trainings": len(trainings),
        "time": duration(sum(t["seconds"] for t in trainings)),
    }


def _short(revision: str) -> str:
    commit, plus, changed = revision.partition("+")
    return commit[:SHORT] + plus + changed


def _datasets(runs: dict[str, dict], datasets: dict[str, dict]) -> list[dict]:
    """The data sets in use: whether each is the paper's, and what it stands in for."""
    used = {run["run"]["dataset"]: run["run"].get("stands_in_for") for run in runs.values()}
    return [
        {
            "name": NAMES.get(name, name),
            "papers": name == stands_in_for,
            "stands_in_for": NAMES.get(stands_in_for, stands_in_for),
            "real": datasets.get(name, {}).get("real"),
        }
        for name, stands_in_for in used.items()
    ]


def seeds(items: list[dict]) -> dict:
    """Seeds per cell over all tables: the fewest, the most, and the families with single ones."""
    counts: dict[str, set[int]] = {}
    for item in items:
        for path in item["paths"]:
            if item["kind"] == "table" and path.endswith(".csv"):
                column = reading.table(path).get("n_seeds", pd.Series(dtype=int))
                counts.setdefault(item["category"], set()).update(column.dropna().astype(int))
    every = set().union(*counts.values())
    single = [category for category, numbers in counts.items() if 1 in numbers]
    return {"fewest": min(every, default=0), "most": max(every, default=0), "single": single}


def duration(seconds: float) -> str:
    """Seconds as text: minutes, or hours from two on."""
    if seconds < 60:
        return f"{seconds:.1f} seconds"
    return f"{seconds / 60:.1f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def there(piece: str | dict | None) -> bool:
    """Whether all files of a piece, table or figure are there."""
    paths = piece["paths"] if isinstance(piece, dict) else [piece]
    return all(path is not None and Path(path).is_file() for path in paths)


def missing(structure: dict) -> list[str]:
    """Pieces, tables and figures that are not there."""
    pieces = [text for name, text in PIECES.items() if not there(structure["pieces"][name])]
    items = [item["title"] or item["name"] for item in structure["items"] if not there(item)]
    return pieces + items


def lacking(structure: dict) -> list[str]:
    """What is missing although it was planned."""
    unplanned = [text for name, text in PIECES.items() if structure["pieces"][name] is None]
    return [text for text in missing(structure) if text not in unplanned]
