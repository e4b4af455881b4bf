"""The theory: information lost (Figure 3) and examples needed (Eq. 2)."""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from noiselab.answers.figures.drawing import FLOOR, ORDERED, shared_legend
from noiselab.planning.rates import error_rate

NOISE_RATIOS = (0.1, 0.3, 0.5, 1.0)  # of the paper's experiments
DASHES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))


def information_loss_figure(tables: list[pd.DataFrame]) -> Figure:
    """Relative information loss (Eq. 1) against the error rate, a curve per number of classes
    with a ring at its maximum (Figure 3); dotted: the error rates of the experiments."""
    (table,) = tables
    figure, axes = plt.subplots(figsize=(7.2, 5.4), layout="constrained", squeeze=False)
    axis = axes[0, 0]
    curves = table.groupby("classes")
    for (classes, part), colour, dashes in zip(curves, ORDERED, DASHES, strict=False):
        e, loss = part["error_rate"], part["relative_information_loss"]
        greatest = part.loc[loss.idxmax()]
        label = f"n = {classes:,g}, maximum at e = {greatest['error_rate']:.5g}"
        axis.plot(e, loss, color=colour, linestyle=dashes, label=label)
        ring = {"markerfacecolor": "none", "markersize": 8, "color": colour}
        axis.plot(greatest["error_rate"], greatest["relative_information_loss"], "o", **ring)
    for rate in map(error_rate, NOISE_RATIOS):
        axis.axvline(rate, color=FLOOR, linestyle=":", linewidth=1)
        where = axis.get_xaxis_transform()  # height as a share of the panel
        axis.text(rate, 1.01, f"{100 * rate:.1f} %", transform=where, ha="center", va="bottom")
    axis.set_xlabel("error rate e (dotted: those of the experiments)")
    axis.set_ylabel("relative information loss H(y|x) / H(y)")
    axis.set_xlim(0, 1.01)
    axis.set_ylim(0, 1.03)
    axis.grid(alpha=0.3)
    shared_legend(figure, axes)
    return figure


def sample_complexity_figure(tables: list[pd.DataFrame]) -> Figure:
    """Examples that learning needs (Eq. 2) against the VC dimension, a curve per error; bands: what
    is clean of a training set, from all of it down to what r = 1 leaves at a fixed length."""
    needed, sets = tables
    figure, axes = plt.subplots(figsize=(7.2, 5.4), layout="constrained", squeeze=False)
    axis = axes[0, 0]
    curves = needed.groupby("error")
    for (error, part), colour, dashes in zip(curves, ORDERED, DASHES, strict=False):
        style = {"color": colour, "linestyle": dashes}
        axis.plot(part["vc_dimension"], part["needed"], **style, label=f"ε = {error:g}")
    for count, part in sets.groupby("examples"):
        low, high = part["clean_examples"].min(), part["clean_examples"].max()
        axis.axhspan(low, high, color=FLOOR, alpha=0.25, linewidth=0)
        place = axis.get_yaxis_transform()  # the horizontal one as a share of the panel
        axis.text(0.01, high, f"{count:,} examples", transform=place, va="bottom")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.margins(x=0)
    c0, delta = needed["constant"].iloc[0], needed["confidence"].iloc[0]
    axis.set_xlabel("VC dimension d")
    axis.set_ylabel(f"examples needed, with c₀ = {c0:g} (not known) and δ = {delta:g}")
    axis.grid(alpha=0.3)
    shared_legend(figure, axes)
    return figure
