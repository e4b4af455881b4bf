"""Noise stability of single layers and of stacks of them at their first weights, beside theory."""

from dataclasses import replace

import pandas as pd

from noiselab.answers.analysis_tables import FEWEST, costs
from noiselab.answers.figures.drawing import (
    POINTS,
    Axis,
    Curve,
    Drawing,
    Panel,
    batches,
    curve,
    look,
)
from noiselab.answers.figures.vegalite import drawing, narrow, wide

SURVIVES = "share of the output that survives"
RHO = Axis("correlation of the inputs", 0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1))
# Part -> title of its panel, and what its setting is called.
LAYERS = {
    "relu": ("A ReLU layer, by width", "width {:g}"),
    "attention": ("Attention, by variance of the scores", "variance {:g}"),
}
STACKS = {
    "stack": "ReLU layers, one after the other",
    "residual_stack": "ReLU layers, each added to its input",
}


def layer_stability_figure(tables: list[pd.DataFrame]) -> Drawing:
    """What survives, against the correlation of the inputs and against depth: points are measured,
    with intervals over networks of other first weights; lines are the theory of wide layers."""
    (table,) = tables
    panels = [
        Panel(title, RHO, Axis(SURVIVES, 0, 1), _lines(table, part, "setting", "rho", name))
        for part, (title, name) in LAYERS.items()
    ]
    deepest = table.loc[table["part"].isin(STACKS), "setting"].max()
    depth = Axis("layers", 1, float(deepest), tuple(range(1, int(deepest) + 1)))
    some = _some(sorted(table["rho"].unique()))
    panels += [
        Panel(
            title,
            depth,
            Axis(SURVIVES, 0, 1),
            _lines(table[table["rho"].isin(some)], part, "rho", "setting", "correlation {:g}"),
        )
        for part, title in STACKS.items()
    ]
    apart = (table["measured"] - table["theory"]).abs().groupby(table["part"]).max()
    names = {"relu": "a ReLU layer", "attention": "attention", "stack": "stacks of ReLU layers"}
    texts = ", ".join(f"{apart[part]:.2f} of {name}" for part, name in names.items())
    alt = f"Measured and theoretical share that survives differ by at most {texts}."
    return drawing(alt, panels, wide(2), narrow())


def _some(correlations: list[float]) -> list[float]:
    """Correlations to draw by depth: the least, one in the middle, the greatest."""
    return sorted({correlations[i] for i in (0, len(correlations) // 2, -1)})


def _lines(table: pd.DataFrame, part: str, by: str, x: str, name: str) -> list[Curve]:
    """A colour per value of `by`: its measured points, and the line of the theory."""
    rows = table[table["part"] == part]
    found = []
    for values in batches(sorted(rows[by].unique())):
        for i, value in enumerate(values):
            own = rows[rows[by] == value].sort_values(x)
            called = name.format(value)
            found.append(_points(called, own, x, i))
            theory = replace(look(i), shape=None, dash=(6, 4), width=1.6)
            found.append(curve(called, own[x], own["theory"], theory, "closed form", False))
    return found


def _points(name: str, rows: pd.DataFrame, x: str, number: int) -> Curve:
    points = pd.DataFrame(
        {
            "x": rows[x].astype(float),
            "y": rows["measured"],
            "low": rows["ci_low"],
            "high": rows["ci_high"],
            "trainings": rows["networks"],
        }
    ).reindex(columns=POINTS)
    return Curve(name, points, replace(look(number), line=False))


def model_stability_figure(tables: list[pd.DataFrame]) -> Drawing:
    """What noise in the targets costs above its floor, against how much of the output survives
    noise in the input: of the model that was trained with it (filled), and of the clean model of
    the same seeds (hollow). A panel per unit of what it costs."""
    (table,) = tables
    rho = table["rho"].max()
    points = costs(table[table["rho"] == rho])
    x = Axis(f"share that survives at a correlation of {rho:g}", 0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1))
    panels, texts = [], []
    for unit, own in points.groupby("unit", sort=False):
        low, high = min(0.0, own["excess"].min()), max(own["excess"].max(), 0.0) or 1.0
        y = Axis(f"loss above the floor ({unit})", float(low), float(high) * 1.05)
        lines = []
        for i, (family, rows) in enumerate(own.groupby("family", sort=False)):
            style = replace(look(i), line=False)
            name = FAMILIES.get(family, family)
            lines.append(curve(name, rows["share"], rows["excess"], style))
            hollow = replace(style, hollow=True)
            lines.append(curve(name, rows["clean"], rows["excess"], hollow, "clean", False))
        panels.append(Panel(f"Families scored in {unit}", x, y, lines))
        if len(own) >= FEWEST:
            rank = own["clean"].corr(own["excess"], method="spearman")
            texts.append(f"{rank:.2f} over {len(own)} kinds of noise and data ({unit})")
    found = "; ".join(texts) or "too few to say"
    alt = f"Rank correlation of what noise costs with what of clean models survives: {found}."
    size = wide(max(1, len(panels)), 320)
    return drawing(alt, panels, size, narrow(), empty=_missing(table))


FAMILIES = {
    "classifier": "classifiers",
    "vision_transformer": "vision transformers",
    "diffusion": "diffusion models",
    "language_model": "language models",
    "seq2seq": "sequence to sequence",
    "algorithmic": "algorithmic tasks",
}


def _missing(rows: pd.DataFrame) -> tuple[str, str]:
    """Where nothing is to be drawn: why, in a few words, and what would have to be there."""
    noisy = rows["corruption"] != "none"
    models = rows[noisy] if noisy.any() else rows
    pairs = models[["family", "dataset"]].drop_duplicates().to_dict("records")
    named = ", ".join(f"{FAMILIES.get(p['family'], p['family'])} on {p['dataset']}" for p in pairs)
    if noisy.any():
        return "No noise floor is known", f"No noise floor is known of any: {named}."
    return (
        "No model was trained on wrong targets",
        f"Only models of right targets are there ({named}). The figure needs models of the same "
        "data that were trained on wrong ones: runs with noise, of this study or of "
        "low_quality_data beside it.",
    )
