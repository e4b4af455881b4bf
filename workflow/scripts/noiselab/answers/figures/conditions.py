"""Where noise costs more or less: the share of the source, the size of the data, the batch."""

from dataclasses import replace

import pandas as pd

from noiselab.answers.figures import cells as rows
from noiselab.answers.figures.drawing import (
    MOST,
    VERMILLION,
    Axis,
    Curve,
    Drawing,
    Look,
    Panel,
    batches,
    curve,
    look,
    solid,
)
from noiselab.answers.figures.vegalite import drawing, narrow, wide
from noiselab.answers.layouts import BUDGETS, NAMES, number_text
from noiselab.answers.tables import rate_text

SHARE = "share of the source's length limit"
MULTIPLIER = "batch, multiplied by (steps divided by the same)"
DIVERGED = "diverged"
SHORT = BUDGETS | {"fixed_total": "fixed length"}  # in titles of narrow panels


def context_figure(tables: list[pd.DataFrame]) -> Drawing:
    """What the source is worth: NLL of the clean run, and its rise at the highest noise ratio,
    against the share of the source that is kept; three data sets in a panel."""
    (table,) = tables
    worst = table["error_rate"].max()
    noise = rate_text(*table.loc[table["error_rate"].idxmax(), ["noise_ratio", "error_rate"]])
    measures = [(0, "sequence_nll", "clean run", "clean-test NLL (nats per sequence)")]
    rise = "rise of clean-test NLL (nats per sequence)"
    measures.append((worst, "sequence_nll_rise", f"what noise costs at {noise}", rise))
    panels = []
    for datasets in batches(list(dict.fromkeys(table["dataset"])), MOST // 2):
        for error, metric, title, measure in measures:
            part = table[(table["metric"] == metric) & (table["error_rate"] == error)]
            lines = []
            for i, dataset in enumerate(datasets):
                lines += _share_curves(part[part["dataset"] == dataset], solid(i), error > 0)
            y = rows.value_axis(measure, lines, zero=True)
            panels.append(
                Panel(title, Axis(SHARE, 0, 1.04, (0, 0.25, 0.5, 0.75, 1), ".0%"), y, lines)
            )
    return drawing(_context_alt(table, worst, noise), panels, wide(2), narrow())


def _share_curves(part: pd.DataFrame, style: Look, floor: bool) -> list[Curve]:
    if len(part) == 0:
        return []
    name = NAMES.get(part["dataset"].iloc[0], part["dataset"].iloc[0])
    dashed = replace(rows.FLOOR, colour=style.colour)
    lines = rows.floor(part, f"{name}: floor", "source_share", dashed) if floor else []
    return lines + rows.ours(part, name, style, "source_share")


def _context_alt(table: pd.DataFrame, worst: float, noise: str) -> str:
    part = table[(table["metric"] == "sequence_nll_rise") & (table["error_rate"] == worst)]
    parts = []
    for dataset, own in part.dropna(subset="ours").groupby("dataset", sort=False):
        short, whole = (own.loc[getattr(own["source_share"], f)()] for f in ("idxmin", "idxmax"))
        texts = [
            f"{number_text(row['ours'], row['metric'])} nats with {100 * row['source_share']:g} %"
            for row in (short, whole)
        ]
        parts.append(f"{NAMES.get(dataset, dataset)}: {texts[0]} of the source, {texts[1]}")
    head = f"What noise costs a sequence at {noise}, by how much of the source is kept."
    return f"{head} {'; '.join(parts) or 'Nothing was run'}."


def scale_figure(tables: list[pd.DataFrame]) -> Drawing:
    """What noise costs, by numbers of classes and images: a row per budget; against images per
    class and against images in all (a curve per number of classes), and against classes (a curve
    per number of images per class). The curves fall together where the axis is what matters."""
    (table,) = tables
    table = table.assign(per_class=table["train_size"] / table["classes"])
    table = table[table["metric"] == "accuracy_relative_drop"]
    columns = [("per_class", "classes", "images per class", "{:g} classes")]
    columns += [("train_size", "classes", "images in all", "{:g} classes")]
    columns += [("classes", "per_class", "classes", "{:g} per class")]
    panels, found = [], []
    for budget in [budget for budget in BUDGETS if (table["budget"] == budget).any()]:
        part = table[table["budget"] == budget]
        noise = rate_text(*part.loc[part["error_rate"].idxmax(), ["noise_ratio", "error_rate"]])
        measure = f"relative loss of accuracy at {noise} (%)"
        for x, constant, label, name in columns:
            for values in batches(sorted(part[constant].unique()), MOST - 1):
                lines = _scale_curves(part, x, constant, name, values)
                title = f"{SHORT[budget]}, by {label}"
                across = rows.logarithmic_axis(label, part[x])
                y = rows.value_axis(measure, lines, zero=True)
                panels.append(Panel(title, across, y, lines))
        run = part.dropna(subset="ours").sort_values("ours")
        if len(run):
            least, most = _sized(run.iloc[0]), _sized(run.iloc[-1])
            found.append(f"{BUDGETS[budget]}, {noise}: from {least} to {most}")
    alt = f"Relative loss of accuracy by classes and images: {'; '.join(found)}."
    return drawing(alt, panels, wide(3, 200), narrow())


def _scale_curves(part: pd.DataFrame, x: str, constant: str, name: str, values) -> list[Curve]:
    ends = [part[x].min(), part[x].max()]
    lines = [curve("floor", ends, [0, 0], rows.FLOOR, "floor")]
    for i, value in enumerate(values):
        own = part[part[constant] == value]
        title = f"{own['classes'].iloc[0]:g} classes" if constant == "classes" else None
        lines += rows.ours(own, name.format(value), look(i), x, title)
    return lines


def _sized(row: pd.Series) -> str:
    lost = number_text(row["ours"], row["metric"])
    return f"{lost} % with {row['classes']:g} classes of {row['per_class']:g} images"


ABOVE_FLOOR = "loss of consistency above the floor (points)"


def generated_grid_figure(tables: list[pd.DataFrame]) -> Drawing:
    """What generators lose beyond their floor at the highest noise ratio: for each number of steps
    against images per class, a curve per number of classes; then against steps, a curve per size of
    the data. At 0, a generator shows the labels that it was taught and no other mistake."""
    (table,) = tables
    table = table.assign(per_class=table["train_size"] / table["classes"])
    table = table[table["metric"] == "consistency_drop"]
    table = table[table["error_rate"] == table["error_rate"].max()].dropna(
        subset=["ours", "excess"]
    )
    panels = []
    for steps, part in table.groupby("steps"):
        named = [
            (f"{classes:g} classes", own, "per_class") for classes, own in part.groupby("classes")
        ]
        panels += _above_panels(f"{steps:,} steps", "images per class", part["per_class"], named)
    sizes = table.groupby(["classes", "per_class"])
    named = [(f"{classes:g} × {images:g}", own, "steps") for (classes, images), own in sizes]
    panels += _above_panels("classes × images", "steps of the clean run", table["steps"], named)
    return drawing(_above_alt(table), panels, wide(2, 200), narrow())


def _above_panels(title: str, label: str, x: pd.Series, named: list[tuple]) -> list[Panel]:
    """Panels of at most so many curves. named: (name, rows, column on the axis) of each."""
    panels = []
    for part in batches(named, MOST - 1):
        lines = [curve("floor", [x.min(), x.max()], [0, 0], rows.FLOOR, "floor")]
        for i, (name, own, column) in enumerate(part):
            lines += _above(own.sort_values(column), name, look(i), column)
        y = rows.value_axis(ABOVE_FLOOR, lines, zero=True)
        panels.append(Panel(title, rows.logarithmic_axis(label, x), y, lines))
    return panels


def _above(own: pd.DataFrame, name: str, style: Look, column: str) -> list[Curve]:
    """The rows of a curve, drawn at what they lose above the floor."""
    shifted = {"y": own["excess"], "low": own["excess_low"], "high": own["excess_high"]}
    one = (own["n_seeds"] == 1).to_numpy()
    found = []
    for line in rows.ours(own, name, style, column):
        points = line.points.assign(**{key: v.to_numpy() for key, v in shifted.items()})
        points.loc[one, ["low", "high"]] = float("nan")  # of one training there is no interval
        found.append(replace(line, points=points))
    return found


def _above_alt(table: pd.DataFrame) -> str:
    """The least and the most that is lost, and where."""
    head = "What generators lose beyond the noise floor, by classes, images and steps"
    if len(table) == 0:
        return f"{head}: nothing was run."
    ordered = table.sort_values("excess")
    texts = [
        f"{number_text(row['excess'], row['metric'])} points with {row['classes']:g} classes of "
        f"{row['per_class']:g} images and {row['steps']:,} steps"
        for row in (ordered.iloc[0], ordered.iloc[-1])
    ]
    return f"{head}: from {texts[0]} to {texts[1]}."


def batch_figure(tables: list[pd.DataFrame]) -> Drawing:
    """Final clean score against the batch multiplier, at the same number of clean examples: a
    panel per family and data set, a curve per noise ratio; crosses are runs that diverged."""
    table = pd.concat(tables)
    table = table[table["metric"].isin(["accuracy", "consistency", "nll"])]
    panels, found = [], []
    for (dataset, metric), part in table.groupby(["dataset", "metric"], sort=False):
        name, unit = NAMES.get(dataset, dataset), part["unit"].iloc[0]
        measure = f"clean-test {NAMES[metric].removeprefix('clean-test ')} ({unit})"
        x = rows.logarithmic_axis(MULTIPLIER, part["batch_multiplier"])
        for errors in batches(sorted(part["error_rate"].dropna().unique()), MOST // 3):
            shown = part[part["error_rate"].isin(errors)]
            lines = []
            for i, (_, own) in enumerate(shown.groupby("error_rate")):
                lines += _multiplier_curves(own, i)
                found.append((name, own))
            y = rows.value_axis(measure, lines)
            panels.append(Panel(name, x, y, lines + _diverged(shown, y)))
    alt = "; ".join(f"{name}, {_noise(own)}: {_course(own)}" for name, own in found)
    return drawing(
        f"Clean score against the batch. {alt}.", panels, wide(min(2, len(panels))), narrow()
    )


def _noise(own: pd.DataFrame) -> str:
    ratio, error = own.iloc[0][["noise_ratio", "error_rate"]]
    return "clean" if error == 0 else rate_text(ratio, error)


def _multiplier_curves(own: pd.DataFrame, number: int) -> list[Curve]:
    """Own numbers of a noise ratio and their floor. It is that of the clean run at × 1, so that
    larger clean batches are not measured by it."""
    name, style = _noise(own), solid(number)
    dashed = replace(rows.FLOOR, colour=style.colour)
    own = own.assign(floor=own["floor"].where(own["error_rate"] != 0))
    lines = rows.floor(own, f"{name}: floor", "batch_multiplier", dashed)
    return lines + rows.ours(own, name, style, "batch_multiplier")


def _diverged(part: pd.DataFrame, y: Axis) -> list[Curve]:
    """A cross at the panel's foot for each multiplier at which runs have no number."""
    failed = part[part["ours"].isna()]
    if len(failed) == 0:
        return []
    place = y.low + 0.04 * (y.high - y.low)
    x = sorted(set(failed["batch_multiplier"]))
    style = Look(VERMILLION, shape="cross", line=False)
    return [curve(DIVERGED, x, [place] * len(x), style, DIVERGED)]


def _course(own: pd.DataFrame) -> str:
    """From the smallest batch to the largest."""
    own = own.sort_values("batch_multiplier")
    texts = []
    for row in (own.iloc[0], own.iloc[-1]):
        value = DIVERGED if pd.isna(row["ours"]) else number_text(row["ours"], row["metric"])
        texts.append(
            f"{value} {'' if pd.isna(row['ours']) else row['unit']}".strip()
            + f" at × {row['batch_multiplier']:g}"
        )
    return ", ".join(dict.fromkeys(texts))
