# From the plan to the structure of the report: which tables and figures, in which order, made from
# which runs.
def runs_behind(table):
    """Ids of the runs that a table is made from."""
    analyses = {"gradients.csv": GRADIENTS, "loss_stability.csv": STABILITY}
    runs = []
    for file in table_sources()[table][1]:
        folder, name = os.path.split(os.path.relpath(file, RESULTS))
        if folder == "metrics":
            runs += PLAN.experiments[name.removesuffix(".csv")]
        elif name in analyses:
            runs += analyses[name]["runs"]
        elif folder.startswith("runs/"):
            runs.append(os.path.relpath(folder, "runs"))
    return list(dict.fromkeys(runs))


def table_item(table):
    """A table as make_report.py takes it; its page has the title."""
    return {
        "category": family_of(table),
        "name": table,
        "title": None,
        "kind": "table",
        "paths": [
            f"{TABLES}/{table}.{suffix}" for suffix in ("html", "csv", "md", "tex")
        ],
        "caption": os.path.basename(caption(table)),
        "runs": runs_behind(table),
        "tables": [],
    }


def figure_item(figure, title, category, tables):
    """A figure as make_report.py takes it; its runs are those of its tables."""
    return {
        "category": category,
        "name": figure,
        "title": title,
        "kind": "figure",
        "paths": [f"{FIGURES}/{figure}.{suffix}" for suffix in ("svg", "png")],
        "caption": os.path.basename(caption(figure)),
        "runs": [],
        "tables": tables,
    }


def in_the_papers_order(table):
    """Sorts Table 2 before Table 10, and tables of our own last."""
    numbered = re.match(r"(?:table|figure)(\d+)", table)
    return int(numbered[1]) if numbered else 100


def figure_items():
    """The figures of the report."""
    figures = {
        name: (title, FAMILY_NAMES.get(family), tables)
        for name, (title, family, tables) in figure_sources().items()
    }
    return [figure_item(n, *figure) for n, figure in (figures | OTHER_FIGURES).items()]


def report_items():
    """Tables and figures of the report, family by family, figures first; the spectrum stands apart."""
    items = [item for item in figure_items() if item["name"] != SPECTRUM]
    items += map(table_item, sorted(table_sources(), key=in_the_papers_order))
    return sorted(items, key=lambda item: CATEGORIES.index(item["category"]))


def spectrum_item():
    """The figure of all families; None where it is not planned."""
    return next((item for item in figure_items() if item["name"] == SPECTRUM), None)


def report_structure():
    """What make_report.py has to know."""
    return {
        "tier": config["tier"],
        "results": RESULTS,
        "workflow_report": os.path.basename(WORKFLOW_REPORT),
        "items": report_items(),
        "pieces": PIECES | {"spectrum": spectrum_item()},
        "runs": list(PLAN.runs),
        "datasets": [
            {"file": f"{DATA}/dataset.json".format(dataset=d), "real": is_real(d)}
            for d in PLAN.datasets
        ],
        "not_planned": [e for e in config["experiments"] if e not in PLAN.experiments],
    }


def report_files():
    """Files that the report is made from."""
    structure = report_structure()
    items = structure["items"] + [structure["pieces"]["spectrum"] or {"paths": []}]
    files = [path for item in items for path in item["paths"]]
    files += [piece for piece in PIECES.values() if piece]
    files += [dataset["file"] for dataset in structure["datasets"]]
    for run in PLAN.runs:
        files += [f"{RESULTS}/runs/{run}/{part}.json" for part in ("run", "training")]
    for experiment in PLAN.experiments:
        files += of_runs(experiment, "metrics.json")
    return list(dict.fromkeys(files))
