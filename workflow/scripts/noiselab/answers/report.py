"""The report: one HTML file that answers, made from what a tier has built.

Its structure comes from the plan (Project.structure in noiselab.planning.project), as JSON:

    tier, results (the tier's folder), workflow_report (name of the file beside it)
    items: [{category, name, title or null (that of its page), kind: table | figure, paths, caption
        (file, relative to the template), runs behind a table, tables that have a figure's numbers}]
    pieces: {claims, audit, cost, overview: path or null; spectrum: item or null}
    runs: ids of all runs, judges and teachers among them
    datasets: [{file: dataset.json, real: whether it does not come with a package}]
    own: whether the settings are somebody's own, who may not ask about the paper
    not_planned: names of experiments that the configuration has, but the plan has not

The text is in workflow/report/report.html.j2 and, for tables and figures, in the captions in the
folder of their study beside it.
"""

import base64
import html
import re
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path

import jinja2
import pandas as pd
from docutils.core import publish_parts
from markupsafe import Markup

from noiselab import reading
from noiselab.answers.claims import BASES, NO_RUN, combined
from noiselab.answers.layouts import INTERVALS, NAMES
from noiselab.answers.verdicts import estimate, number, on_one_training, parts, power
from noiselab.errors import NoiselabError
from noiselab.files import ROOT, read_json
from noiselab.planning.provenance import PACKAGES

CAPTIONS = ROOT / "workflow" / "report"
MIME = {
    "csv": "text/csv",
    "md": "text/markdown",
    "tex": "application/x-tex",
    "svg": "image/svg+xml",
    "png": "image/png",
}
PIECES = {
    "claims": "verdicts on the paper's claims",
    "spectrum": "the spectrum, a figure",
    "audit": "audit of text against code",
    "cost": "cost of the runs",
    "overview": "what was run",
}
PAGES = ("audit", "cost", "overview")  # pieces that are pages of their own


def render(structure: dict) -> str:
    """The report as a self-contained HTML page."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"number": number, "estimate": estimate}
    template = environment.from_string((CAPTIONS / "report.html.j2").read_text(encoding="utf-8"))
    return template.render(collect(structure))


def collect(structure: dict) -> dict:
    """What the template shows."""
    tier = structure["tier"]
    built = [item for item in structure["items"] if _there(item)]
    datasets = {row["name"]: row for row in map(_dataset, structure["datasets"])}
    runs = read_runs(structure)
    pieces = {name: piece for name, piece in structure["pieces"].items() if _there(piece)}

    def show(item):
        return _item(item, built, runs, datasets, tier)

    return {
        "tier": tier,
        "workflow_report": structure["workflow_report"],
        "facts": facts(runs, datasets, built),
        "missing": missing(structure),
        "not_planned": structure["not_planned"],
        "claims": claims(pieces["claims"], structure["own"]) if "claims" in pieces else None,
        "spectrum": show(pieces["spectrum"]) if "spectrum" in pieces else None,
        "pages": {name: _page(pieces[name], PIECES[name]) for name in PAGES if name in pieces},
        "families": [
            {"title": title, "id": f"family-{_slug(title)}", "items": list(map(show, items))}
            for title, items in groupby(built, lambda item: item["category"])
        ],
    }


def _there(piece: str | dict | None) -> bool:
    """Whether all files of a piece, table or figure are there."""
    paths = piece["paths"] if isinstance(piece, dict) else [piece]
    return all(path is not None and Path(path).is_file() for path in paths)


def missing(structure: dict) -> list[str]:
    """Pieces, tables and figures that are not there."""
    pieces = [text for name, text in PIECES.items() if not _there(structure["pieces"][name])]
    items = [item["title"] or item["name"] for item in structure["items"] if not _there(item)]
    return pieces + items


# ------------------------------------------------------------------------ tables and figures


def _item(item: dict, built: list[dict], runs: dict, datasets: dict, tier: str) -> dict:
    """A table or figure as the template shows it."""
    files = {Path(path).suffix[1:]: Path(path) for path in item["paths"]}
    title = item["title"] or page_title(files["html"])
    chosen = [runs[run] for run in _runs_of(item, built) if run in runs]
    return {
        "id": item["name"],
        "category": item["category"],
        "title": title,
        "caption": caption(item["caption"], item["name"], tier),
        "body": page_body(files["html"], title, 2) if item["kind"] == "table" else None,
        "image": data_uri(files["svg"]) if item["kind"] == "figure" else None,
        "sources": [_title(table) for table in built if table["name"] in item["tables"]],
        "settings": [settings(part, datasets) for part in _by_family(chosen)],
        "downloads": downloads(files.values()),
    }


def _page(path: str, label: str) -> dict:
    """A page as the template shows it."""
    return {"body": page_body(path, label, 1), "downloads": _beside(path)}


def _beside(path: str | Path) -> list[dict]:
    """The same content in other formats."""
    return downloads(sorted(Path(path).parent.glob(f"{Path(path).stem}.*")))


def downloads(paths: Iterable[Path]) -> list[dict]:
    """Those of the files that a reader may want, as links that hold them."""
    return [
        {"name": path.name, "format": path.suffix[1:], "uri": data_uri(path)}
        for path in paths
        if path.suffix[1:] in MIME
    ]


def _runs_of(item: dict, built: list[dict]) -> list[str]:
    """Ids of the runs behind a table; of a figure, those behind its tables."""
    tables = [table for table in built if table["name"] in item["tables"]]
    return list(dict.fromkeys(run for source in (item, *tables) for run in source["runs"]))


def _title(item: dict) -> str:
    pages = [path for path in item["paths"] if path.endswith(".html")]
    return item["title"] or page_title(pages[0])


def caption(file: str, name: str, tier: str) -> Markup:
    """A caption as HTML. It is written for Snakemake's report: reStructuredText in which jinja2
    finds the parameters and the configuration of the rule as `snakemake`."""
    rule = {"params": {"name": name}, "config": {"tier": tier}}
    source = (CAPTIONS / file).read_text(encoding="utf-8")
    text = jinja2.Template(source, undefined=jinja2.StrictUndefined).render(snakemake=rule)
    safe = {"raw_enabled": False, "file_insertion_enabled": False}
    return Markup(publish_parts(text, writer="html5", settings_overrides=safe)["body"])


def page_title(path: str | Path) -> str:
    """Heading of one of our pages (layouts.page)."""
    return html.unescape(_part(path, "h1"))


def page_body(path: str | Path, label: str, depth: int) -> Markup:
    """Content of one of our pages (layouts.page), headings `depth` levels lower, its tables with a
    name for screen readers and in a box that scrolls by itself, with the keyboard too."""
    body = re.sub(
        "(</?h)([2-6])", lambda found: f"{found[1]}{int(found[2]) + depth}", _part(path, "main")
    )
    name = html.escape(label)
    reachable = f' tabindex="0" role="region" aria-label="{name}">'
    body = re.sub('(<div class="scroll[a-z ]*")>', lambda found: found[1] + reachable, body)
    named = f'<caption class="unseen">{name}</caption>'
    body = re.sub("<table[^>]*>(?!<caption)", lambda found: found[0] + named, body)
    return Markup(body)


def _part(path: str | Path, tag: str) -> str:
    """Inner HTML of the only element of that name in one of our pages."""
    found = re.search(f"<{tag}>(.*)</{tag}>", Path(path).read_text(encoding="utf-8"), re.DOTALL)
    if not found:
        raise NoiselabError(f"{path}: no page of noiselab (it has no <{tag}>)")
    return found[1]


def data_uri(path: str | Path) -> str:
    """A file as a data: address."""
    path = Path(path)
    content = base64.b64encode(path.read_bytes()).decode()
    return f"data:{MIME[path.suffix[1:]]};base64,{content}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


# ------------------------------------------------------------------------------- the banner


def read_runs(structure: dict) -> dict[str, dict]:
    """Id -> {run, training, evaluation_revision where it has scores} of the finished runs."""
    folder = Path(structure["results"]) / "runs"
    found = {}
    for run_id in structure["runs"]:
        if (folder / run_id / "training.json").is_file():
            parts = ("run", "training")
            found[run_id] = {part: read_json(folder / run_id / f"{part}.json") for part in parts}
        if (folder / run_id / "metrics.json").is_file():
            metrics = read_json(folder / run_id / "metrics.json")
            found[run_id]["evaluation_revision"] = metrics["evaluation_revision"]
    return found


def _dataset(entry: dict) -> dict:
    return read_json(entry["file"]) | {"real": entry["real"]}


def facts(runs: dict[str, dict], datasets: dict[str, dict], tables: list[dict]) -> dict:
    """What a reader must know before any number: data, seeds, machines, code, time."""
    trainings = [run["training"] for run in runs.values()]
    evaluated = [
        run["evaluation_revision"] for run in runs.values() if "evaluation_revision" in run
    ]
    revisions = sorted({t["revision"] for t in trainings} | set(evaluated))
    return {
        "datasets": _datasets(runs, datasets),
        "seeds": seeds(tables),
        "devices": sorted({t["device"] for t in trainings}),
        "threads": sorted({t["threads"] for t in trainings if "threads" in t}),
        "versions": [
            f"{name} {', '.join(sorted({t[name] for t in trainings if name in t}))}"
            for name in ("python", *PACKAGES)
        ],
        "revisions": revisions,
        "uncommitted": any(r.endswith("+changed") or r == "unknown" for r in revisions),
        "trainings": len(trainings),
        "time": duration(sum(t["seconds"] for t in trainings)),
    }


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
            if path.endswith(".csv"):
                column = reading.table(path).get("n_seeds", pd.Series(dtype=int))
                counts.setdefault(item["category"], set()).update(column.dropna().astype(int))
    every = set().union(*counts.values())
    single = [category for category, numbers in counts.items() if 1 in numbers]
    return {"fewest": min(every, default=0), "most": max(every, default=0), "single": single}


def duration(seconds: float) -> str:
    """Seconds as text: minutes, or hours from two on."""
    return f"{seconds / 60:.1f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


# --------------------------------------------------------------------------------- settings


def _pairs(content: dict) -> str:
    """A part of a run's settings on one line: the name first, nothing that is not set."""
    rest = [f"{k.replace('_', ' ')} {_text(v)}" for k, v in content.items() if k != "name"]
    return ", ".join([str(content["name"])] * ("name" in content) + rest)


def _text(value) -> str:
    if isinstance(value, list):
        return "/".join(map(_text, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _if_noisy(key: str) -> Callable[[dict], str | None]:
    """A setting that a clean run does not have."""
    return lambda run: None if run["corruption"] == "none" else run[key].replace("_", " ")


def _data(run: dict) -> str:
    name, of = run["dataset"], run.get("stands_in_for")
    return name if of in (None, name) else f"{name} (in place of {NAMES.get(of, of)})"


def _schedule(run: dict) -> str:
    training = run["training"]
    text = f"{training['schedule']} to {training['final_learning_rate']:g}"
    warmup = training["warmup_steps"]
    return f"{text}, {warmup:,} warm-up steps" if warmup else text


DRAWN = {"fresh": "drawn anew at each visit", "fixed": "drawn once"}
# Label -> a run's value, None where it has none.
SETTINGS: dict[str, Callable[[dict], object]] = {
    "family": lambda run: run["family"].replace("_", " "),
    "data": _data,
    "model": lambda run: _pairs(run["model"]),
    "corruption": _if_noisy("corruption"),
    "wrong targets": lambda run: DRAWN.get(run["resample"]),
    "budget": _if_noisy("budget"),
    "noise ratio r": lambda run: run["noise_ratio"],
    "error rate e": lambda run: run["error_rate"] if run["noise_ratio"] is None else None,
    "seed": lambda run: run["seed"],
    "protocol": lambda run: run["protocol"],
    "share of the source": lambda run: run.get("source_share"),
    "batch": lambda run: run["training"]["batch_size"],
    "steps": lambda run: run["training"]["steps"],
    "epochs": lambda run: run["epochs"],
    "optimiser": lambda run: _pairs(run["training"]["optimizer"]),
    "schedule": _schedule,
    "clipped at": lambda run: run["training"]["clip_norm"],
    "average of weights": lambda run: run["training"]["ema_decay"],
    "precision": lambda run: run["training"]["precision"],
}


def _by_family(runs: list[dict]) -> list[list[dict]]:
    """The runs of each family: what one trains with says nothing about another."""
    families: dict[str, list[dict]] = {}
    for run in runs:
        families.setdefault(run["run"]["family"], []).append(run)
    return list(families.values())


def settings(runs: list[dict], datasets: dict[str, dict]) -> list[tuple[str, str]]:
    """(label, text) of the settings behind a table or figure: common values once, others per data
    set where the data set decides, or one after the other."""
    told = [run["run"] | {"epochs": _epochs(run["run"], datasets)} for run in runs]
    rows = []
    for label, value in SETTINGS.items():
        values = [(run["dataset"], value(run)) for run in told]
        values = [(dataset, v) for dataset, v in values if v is not None]
        if values:
            rows.append((label, _spread(values)))
    return rows


def _epochs(run: dict, datasets: dict[str, dict]) -> float | None:
    """Visits of each image; None for text, whose batches are drawn from one long stream."""
    size = datasets.get(run["dataset"], {}).get("train_size")
    return (
        round(run["training"]["steps"] * run["training"]["batch_size"] / size, 1) if size else None
    )


def _spread(values: list[tuple[str, object]]) -> str:
    """Different values of one setting."""
    by_dataset: dict[str, list] = {}
    for dataset, value in values:
        by_dataset.setdefault(dataset, []).append(value)
    texts = {dataset: _listed(found) for dataset, found in by_dataset.items()}
    named_already = all(text.startswith(dataset) for dataset, text in texts.items())
    if len(set(texts.values())) == 1 or named_already:
        return "; ".join(dict.fromkeys(texts.values()))
    return "; ".join(f"{dataset}: {text}" for dataset, text in texts.items())


def _listed(values: Iterable) -> str:
    unique = list(dict.fromkeys(values))
    if all(isinstance(value, (int, float)) for value in unique):
        unique = sorted(unique)
    return ", ".join(map(_text, unique))


# ----------------------------------------------------------------------------------- claims


def claims(path: str | Path, own: bool = False) -> dict | None:
    """The claims with a verdict on what was run here, and how many have which. own: settings of
    somebody's own, which are not about claims where they test none."""
    rows = read_json(path)["claims"]
    tests = [test for row in rows for test in row["tests"]]
    if own and not any(test["where"] != NO_RUN for test in tests):
        return None
    for row in rows:
        row["here"] = combined([test["verdict"] for test in row["tests"]])
        for test in row["tests"]:
            test["basis_text"] = BASES[test["basis"]]
            test["interval_text"] = INTERVALS.get(test["interval"], test["interval"])
            test["power"] = power(test, row)
    return {
        "rows": rows,
        "parts": parts(rows),
        "single": on_one_training(rows),
        "by_basis": {
            words: _count(row["by_basis"][basis] for row in rows) for basis, words in BASES.items()
        },
        "downloads": _beside(path),
    }


VERDICTS = ["holds", "does not hold", "mixed", "undecided", "model too weak", "not asked"]
VERDICTS += ["not decidable here", "not tested"]


def _count(verdicts: Iterable[str]) -> list[tuple[str, int]]:
    listed = list(verdicts)
    return [(verdict, listed.count(verdict)) for verdict in VERDICTS if verdict in listed]
