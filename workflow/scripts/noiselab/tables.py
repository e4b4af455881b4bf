"""Tables: tidy rows from the metrics of runs, and layouts like the paper's.

A tidy row is one cell: dataset, stands_in_for, corruption, budget, protocol, noise_ratio,
error_rate, metric, unit, published, ours, ci_low, ci_high, interval, n_seeds, items, floor,
excess, measured_error_rate, reason. `ours`, `floor` and `excess` are means over seeds;
excess = ours - floor.
"""

import html

import numpy as np
import pandas as pd

from noiselab.stats import t_interval

NAMES = {
    "accuracy": "accuracy",
    "kl": "KL(predicted ‖ true)",
    "tvd": "total variation",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
}
DECIMALS = {"accuracy": 2, "kl": 6, "tvd": 4}
KEYS = ["dataset", "stands_in_for", "corruption", "resample", "budget", "protocol"]
KEYS += ["noise_ratio", "error_rate", "metric", "unit"]
NUMBERS = ["published", "ours", "ci_low", "ci_high", "interval", "n_seeds", "items"]
NUMBERS += ["floor", "excess", "measured_error_rate", "reason"]
COLUMNS = KEYS + NUMBERS


def tidy_table(metrics: pd.DataFrame, published: dict) -> pd.DataFrame:
    """A row per cell (module docstring). metrics: rows of runs; published: one entry of
    published.yaml, or {} for an experiment that the paper does not have."""
    wanted = list(published.get("metrics", {"accuracy": None}))
    metrics = metrics[metrics["metric"].isin(wanted)]
    rows = [
        _cell(group) | _published(published, group.iloc[0])
        for _, group in metrics.groupby(["dataset", "noise_ratio", "metric"], sort=False)
    ]
    table = pd.DataFrame(rows)
    table["excess"] = table["ours"] - table["floor"]
    order = {name: i for i, name in enumerate(wanted)}
    table = table.sort_values(
        ["metric", "noise_ratio"],
        key=lambda c: c.map(order) if c.name == "metric" else c,
        kind="stable",
    )
    return table[COLUMNS].reset_index(drop=True)


def _cell(group: pd.DataFrame) -> dict:
    """One cell from the rows of its seeds."""
    first = group.iloc[0]
    values = group["value"].dropna()
    missing = group["reason"].dropna()
    cell = {key: first[key] for key in KEYS} | {
        "ours": values.mean() if len(missing) == 0 else np.nan,
        "n_seeds": len(values),
        "items": first["items"],
        "floor": group["floor"].mean(),
        "measured_error_rate": group["measured_error_rate"].mean(),
        "reason": "; ".join(sorted(set(missing))) or None,
    }
    if len(group) > 1 and len(missing) == 0:
        return cell | t_interval(values)._asdict()
    return cell | {key: first[key] for key in ("ci_low", "ci_high", "interval")}


def _published(published: dict, row: pd.Series) -> dict:
    """The paper's number for the data set that ours is or stands in for."""
    values = published.get("metrics", {}).get(row["metric"], {}).get(row["stands_in_for"])
    ratios = published.get("noise_ratios", [])
    if values is None or row["noise_ratio"] not in ratios:
        return {"published": np.nan}
    return {"published": values[ratios.index(row["noise_ratio"])]}


# ------------------------------------------------------------------------------- layouts


def layout(table: pd.DataFrame) -> pd.DataFrame:
    """Rows are noise ratios as in the paper (100:10), columns (what, kind of number); text."""
    columns = {}
    table = table.assign(row=[f"100:{100 * r:g}" for r in table["noise_ratio"]])
    for (dataset, _), part in table.groupby(["dataset", "metric"], sort=False):
        part = part.set_index("row")
        title = _title(dataset, part)
        columns |= {(title, kind): text for kind, text in _texts(part).items()}
    return pd.DataFrame(columns).rename_axis("Correct:Incorrect")


def _title(dataset: str, part: pd.DataFrame) -> str:
    first = part.iloc[0]
    unit = f" ({first['unit']})" if isinstance(first["unit"], str) and first["unit"] else ""
    return f"{NAMES.get(dataset, dataset)}: {NAMES.get(first['metric'], first['metric'])}{unit}"


def _texts(part: pd.DataFrame) -> dict[str, pd.Series]:
    """The columns of one data set and metric, as text."""
    digits = DECIMALS.get(part["metric"].iloc[0], 3)

    def number(value: float, sign: str = "") -> str:
        return "" if pd.isna(value) else f"{value:{sign}.{digits}f}"

    ours = [
        f"— ({row.reason})"
        if pd.isna(row.ours)
        else f"{number(row.ours)} [{number(row.ci_low)}, {number(row.ci_high)}]"
        for row in part.itertuples()
    ]
    texts = {
        "ours [95 % CI]": pd.Series(ours, index=part.index),
        "floor": part["floor"].map(number),
        "excess": part["excess"].map(lambda value: number(value, "+")),
    }
    if part["published"].notna().any():
        name = NAMES.get(part["stands_in_for"].iloc[0])
        texts = {f"paper, {name}": part["published"].map(number)} | texts
    return texts


def markdown(table: pd.DataFrame, title: str, notes: list[str]) -> str:
    """Markdown with title and notes; column heads of both levels in one line."""
    flat = layout(table)
    flat.columns = [f"{what}<br>{kind}" for what, kind in flat.columns]
    lines = [f"## {title}", "", flat.to_markdown(disable_numparse=True), ""]
    return "\n".join(lines + [f"{note}\n" for note in notes])


def latex(table: pd.DataFrame, title: str, notes: list[str]) -> str:
    """A table environment for a paper; needs the package booktabs."""
    text = layout(table).map(_latex_escape)
    text.columns = text.columns.map(lambda c: tuple(_latex_escape(part) for part in c))
    styled = text.style.to_latex(
        hrules=True,
        multicol_align="c",
        caption=_latex_escape(" ".join([f"{title}.", *notes])),
        position_float="centering",
    )
    return styled


def _latex_escape(text: str) -> str:
    for character, code in {"‖": r"$\|$", "−": "-", "–": "--", "—": "---"}.items():
        text = text.replace(character, code)
    return "".join(rf"\{c}" if c in "%_&#" else c for c in text)


STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem; color: #1b1f24; background: #fff; }
h1 { font-size: 1.15rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap; }
thead th { border-bottom: 1px solid #57606a; text-align: center; }
tbody tr:nth-child(even) { background: #f3f5f7; }
tbody th { text-align: left; font-weight: 600; }
p { max-width: 48rem; color: #424a53; }
@media print { body { margin: 0; font-size: 11px; } .scroll { overflow: visible; } }
"""


def page(title: str, body: str) -> str:
    """A self-contained HTML page; `body` must be escaped already."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><h1>{html.escape(title)}</h1>{body}</body></html>\n"
    )


def html_page(table: pd.DataFrame, title: str, notes: list[str]) -> str:
    """The table as a page of its own."""
    grid = layout(table)
    grid.index.name = None
    body = grid.to_html(escape=True, border=0)
    paragraphs = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    return page(title, f'<div class="scroll">{body}</div>{paragraphs}')


FORMATS = {"md": markdown, "tex": latex, "html": html_page}


INTERVALS = {
    "wilson_items": "Wilson interval over test items, one seed",
    "bootstrap_items": "bootstrap over test items, one seed",
    "t_seeds": "t-interval over seeds",
}


def notes(table: pd.DataFrame, tier: str) -> list[str]:
    """What a reader must know to read the numbers."""
    kinds = [INTERVALS[k] for k in dict.fromkeys(table["interval"]) if k in INTERVALS]
    seeds = ", ".join(str(n) for n in sorted(set(table["n_seeds"])))
    lines = [
        f"Tier {tier}; seeds per cell: {seeds}; 95 % CI: {', '.join(kinds)}. "
        "Floor: what a perfectly calibrated model would score, from the clean run's own "
        "probabilities. Excess = ours − floor."
    ]
    standing = table.loc[
        (table["dataset"] != table["stands_in_for"]) & table["published"].notna(),
        ["dataset", "stands_in_for"],
    ].drop_duplicates()
    for row in standing.itertuples():
        lines.append(
            f"{row.dataset} is another data set, and its network a smaller one: the column of "
            f"{NAMES.get(row.stands_in_for, row.stands_in_for)} is for comparing the shape of "
            "the decline, not the level."
        )
    return lines
