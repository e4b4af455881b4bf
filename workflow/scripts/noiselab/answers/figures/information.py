"""The theory: information lost (Figure 3) and examples needed (Eq. 2)."""

import pandas as pd

from noiselab.answers.figures.drawing import (
    COLOURS,
    DASHES,
    MOST,
    Axis,
    Curve,
    Drawing,
    Look,
    Mark,
    Panel,
    batches,
    curve,
)
from noiselab.answers.figures.vegalite import drawing, narrow, wide
from noiselab.planning.rates import error_rate

NOISE_RATIOS = (0.1, 0.3, 0.5, 1.0)  # of the paper's experiments


def information_loss_figure(tables: list[pd.DataFrame]) -> Drawing:
    """Relative information loss (Eq. 1) against the error rate, a curve per number of classes
    with a ring at its maximum (Figure 3); dotted: the error rates of the experiments."""
    (table,) = tables
    rates = [Mark(e, text=f"{100 * e:.0f} %") for e in map(error_rate, NOISE_RATIOS)]
    x = Axis("error rate", 0, 1.01, (0, 0.2, 0.4, 0.6, 0.8, 1), ".0%")
    y = Axis("relative information loss H(y|x) / H(y)", 0, 1.1)
    panels = []
    for numbers in batches(sorted(table["classes"].unique())):
        lines: list[Curve] = []
        for i, classes in enumerate(numbers):
            lines += _loss_curves(table[table["classes"] == classes], i)
        panels.append(
            Panel("Information lost, by number of classes n", x, y, lines, rates, zoom=True)
        )
    at = error_rate(max(NOISE_RATIOS))
    losses = [
        (n, part.loc[(part["error_rate"] - at).abs().idxmin(), "relative_information_loss"])
        for n, part in table.groupby("classes")
    ]
    texts = ", ".join(f"{100 * loss:.0f} % with {n:,g} classes" for n, loss in losses)
    alt = f"Where {100 * at:.0f} % of the labels are wrong, of their information is lost: {texts}."
    return drawing(alt, panels, wide(1, 340), narrow(height=230))


def _loss_curves(part: pd.DataFrame, number: int) -> list[Curve]:
    e, loss = part["error_rate"], part["relative_information_loss"]
    greatest = part.loc[loss.idxmax()]
    name = f"n = {part['classes'].iloc[0]:,g}: all lost at {100 * greatest['error_rate']:.5g} %"
    ring = Look(COLOURS[number], shape="circle", hollow=True, line=False)
    top = [greatest["error_rate"]], [greatest["relative_information_loss"]]
    return [
        curve(name, e, loss, Look(COLOURS[number], DASHES[number]), "closed form"),
        curve(name, *top, ring, "maximum", labelled=False),
    ]


def sample_complexity_figure(tables: list[pd.DataFrame]) -> Drawing:
    """Examples that learning needs (Eq. 2) against the VC dimension, a curve per error; bands: what
    is clean of a training set, from all of it down to what r = 1 leaves at a fixed length."""
    needed, sets = tables
    bands = [
        Mark(float(clean.min()), float(clean.max()), f"{count:,} examples")
        for count, clean in sets.groupby("examples")["clean_examples"]
    ]
    c0, delta = needed["constant"].iloc[0], needed["confidence"].iloc[0]
    y = f"examples needed, with c₀ = {c0:g} (not known) and δ = {delta:g}"
    panels = []
    for errors in batches(sorted(needed["error"].unique())):
        lines = [
            _needed_curve(needed[needed["error"] == error], i) for i, error in enumerate(errors)
        ]
        axes = _powers("VC dimension d", needed["vc_dimension"]), _powers(y, needed["needed"])
        panels.append(
            Panel("Examples that learning needs, by error ε", *axes, lines, bands, zoom=True)
        )
    factor = (sets.groupby("examples")["clean_examples"].agg(lambda c: c.max() / c.min())).max()
    ratio = sets["examples"].max() / sets["examples"].min()
    alt = (
        f"Noise leaves 1 / {factor:g} of the clean examples of each training set, while the "
        f"sets differ by a factor of {ratio:.0f}, and what learning needs by many powers of ten."
    )
    return drawing(alt, panels, wide(1, 340), narrow(height=300))


def _needed_curve(part: pd.DataFrame, number: int) -> Curve:
    name = f"ε = {part['error'].iloc[0]:g}"
    style = Look(COLOURS[number % MOST], DASHES[number % MOST])
    return curve(name, part["vc_dimension"], part["needed"], style, "closed form")


def _powers(title: str, values: pd.Series) -> Axis:
    """A logarithmic axis with a tick at every second power of ten."""
    ticks = tuple(10.0**i for i in range(0, 13, 2) if values.min() <= 10.0**i <= values.max())
    return Axis(title, float(values.min()), float(values.max()), ticks, "~s", logarithmic=True)
