"""Figures, drawn from the tidy tables so that they show exactly what the tables say."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from noiselab.answers.layouts import BUDGETS, NAMES
from noiselab.answers.layouts import FAMILIES as FAMILY_NAMES
from noiselab.planning.runs import error_rate

# Okabe and Ito's colours, distinguishable with any kind of colour vision.
OURS, PAPER, FLOOR, DENOISED = "#0072B2", "#D55E00", "#555555", "#009E73"
DATASETS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7")  # where a colour is a data set
CORRUPTIONS = {
    "uniform_label": "uniform noise",
    "shift_label": "structured noise, y → y + 1",
}


def classifier_figure(tables: list[pd.DataFrame]) -> Figure:
    """Accuracy against error rate: a row per corruption, a column per data set."""
    table = pd.concat(tables)
    table = table[table["metric"] == "accuracy"]
    corruptions = [c for c in CORRUPTIONS if (table["corruption"] == c).any()]
    datasets = list(dict.fromkeys(table["dataset"]))
    figure, axes = plt.subplots(
        len(corruptions),
        len(datasets),
        figsize=(4.4 * len(datasets), 3.3 * len(corruptions)),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for source, row in zip(_by_corruption(tables, corruptions), axes, strict=True):
        for dataset, axis in zip(datasets, row, strict=True):
            part = source[source["dataset"] == dataset]
            if len(part):
                _accuracy_panel(axis, part)
            else:
                axis.set_axis_off()
    for corruption, axis in zip(corruptions, axes[:, 0], strict=True):
        axis.set_ylabel(f"{CORRUPTIONS[corruption]}\nclean-test accuracy (%)")
    _finish_columns(figure, axes, datasets)
    return figure


def _finish_columns(figure: Figure, axes, datasets: list[str]) -> None:
    """Titles on top, the error rate below, and a legend, where each column is a data set."""
    for dataset, axis in zip(datasets, axes[0], strict=True):
        axis.set_title(NAMES.get(dataset, dataset))
    for column in axes.T:
        lowest = [axis for axis in column if axis.axison][-1]
        lowest.set_xlabel("error rate e = r / (1 + r)")
        lowest.tick_params(labelbottom=True)
    _shared_legend(figure, axes)


def _by_corruption(tables: list[pd.DataFrame], corruptions: list[str]) -> list[pd.DataFrame]:
    """The table of each corruption, with its clean row (whose corruption is `none`)."""
    return [next(t for t in tables if (t["corruption"] == c).any()) for c in corruptions]


def _accuracy_panel(axis: Axes, table: pd.DataFrame) -> None:
    # A decision keeps until the error rate at which another class overtakes: a step.
    _curves(axis, table, "accuracy", drawstyle="steps-post")
    axis.set_ylim(0, 103)


def _curves(axis: Axes, table: pd.DataFrame, metric: str, drawstyle: str = "default") -> None:
    """Floor, published and own numbers of one metric against the error rate."""
    cells = table[table["metric"] == metric].sort_values("error_rate")
    e = cells["error_rate"]
    floor = {"linestyle": "--", "color": FLOOR, "drawstyle": drawstyle}
    axis.plot(e, cells["floor"], **floor, label="noise floor (calibrated model)")
    printed = cells.dropna(subset="published")
    if len(printed):
        name = f"paper, {NAMES.get(printed['stands_in_for'].iloc[0])}"
        style = {"color": PAPER, "markersize": 5}
        axis.plot(printed["error_rate"], printed["published"], ":s", **style, label=name)
    spread = [cells["ours"] - cells["ci_low"], cells["ci_high"] - cells["ours"]]
    style = {"fmt": "-o", "color": OURS, "capsize": 3}
    axis.errorbar(e, cells["ours"], yerr=spread, **style, label="ours, 95 % CI")
    axis.grid(alpha=0.3)


def language_model_figure(tables: list[pd.DataFrame]) -> Figure:
    """NLL against error rate (Figure 1): a column per budget, clean test and noisy training
    text above each other."""
    figure, axes = plt.subplots(
        2,
        len(tables),
        figsize=(4.4 * len(tables), 6.6),
        sharex=True,
        squeeze=False,
        sharey="row",
        layout="constrained",
    )
    for table, column in zip(tables, axes.T, strict=True):
        noisy = table[table["corruption"] != "none"].iloc[0]
        column[0].set_title(f"{noisy['dataset']}, {BUDGETS[noisy['budget']]}")
        _curves(column[0], table, "nll")
        denoised = table[table["metric"] == "denoised_nll"].sort_values("error_rate")
        column[0].plot(
            denoised["error_rate"], denoised["ours"], "-^", color=DENOISED, label="ours, denoised"
        )
        _curves(column[1], table, "train_nll")
        column[1].set_xlabel("error rate e = r / (1 + r)")
    axes[0, 0].set_ylabel("clean-test NLL (nats/token)")
    axes[1, 0].set_ylabel("noisy-train NLL (nats/token)")
    _shared_legend(figure, axes)
    return figure


RULERS = {"accuracy of the decision": ("accuracy", "denoising_accuracy")}
RULERS["accuracy of a sampled label"] = ("sampled_accuracy", "consistency")
RULED = {"classifier": OURS, "diffusion": PAPER}


def rulers_figure(tables: list[pd.DataFrame]) -> Figure:
    """Classifiers and diffusion models by the same ruler: a row per ruler (the decision, a
    sampled label or image), a column per data set that both have, a colour per family."""
    (table,) = tables
    both = table.groupby("dataset", sort=False)["family"].nunique() == len(RULED)
    datasets = list(both[both].index)
    size = {"figsize": (max(6.6, 4.4 * len(datasets)), 6.6), "layout": "constrained"}
    options = {"sharex": True, "sharey": True, "squeeze": False}
    figure, axes = plt.subplots(len(RULERS), len(datasets), **size, **options)
    for (label, metrics), row in zip(RULERS.items(), axes, strict=True):
        for dataset, axis in zip(datasets, row, strict=True):
            cells = table[(table["dataset"] == dataset) & table["metric"].isin(metrics)]
            for family, colour in RULED.items():
                _coloured(axis, cells[cells["family"] == family], colour, FAMILY_NAMES[family])
            axis.set_ylim(0, 103)
            axis.grid(alpha=0.3)
        row[0].set_ylabel(f"{label} (%)")
    _finish_columns(figure, axes, datasets)
    return figure


def samples_figure(sheets: dict[tuple[str, float], np.ndarray]) -> Figure:
    """Generated images: a row per data set, a column per noise ratio. sheets: (data set, noise
    ratio) -> uint8 [H, W, 3], in which a row is a class."""
    datasets = list(dict.fromkeys(dataset for dataset, _ in sheets))
    ratios = sorted({ratio for _, ratio in sheets})
    size = {"figsize": (1.7 * len(ratios), 4.3 * len(datasets)), "layout": "constrained"}
    figure, axes = plt.subplots(len(datasets), len(ratios), **size, squeeze=False)
    for dataset, row in zip(datasets, axes, strict=True):
        for ratio, axis in zip(ratios, row, strict=True):
            axis.set_axis_off()
            if (dataset, ratio) in sheets:
                axis.imshow(sheets[dataset, ratio], interpolation="nearest")
                axis.set_title(f"{NAMES.get(dataset, dataset)}, r = {ratio:g}", fontsize="small")
    return figure


RISES = {
    "nll_relative_rise": "relative rise of clean-test NLL (%)",
    "nll_rise": "rise of clean-test NLL (nats/token)",
    "sequence_nll_rise": "rise of clean-test NLL (nats/sequence)",
}


def seq2seq_figure(tables: list[pd.DataFrame]) -> Figure:
    """Rise of the NLL against the error rate (Figure 2), relative as in the paper, and its
    absolute twins per token and per sequence; a colour per data set."""
    (table,) = tables
    figure, axes = plt.subplots(1, len(RISES), figsize=(13, 4.6), squeeze=False, sharex=True)
    figure.set_layout_engine("constrained")
    datasets = dict(zip(dict.fromkeys(table["dataset"]), DATASETS, strict=False))
    for (metric, label), axis in zip(RISES.items(), axes.flat, strict=True):
        for dataset, colour in datasets.items():
            part = table[(table["metric"] == metric) & (table["dataset"] == dataset)]
            _coloured(axis, part, colour, NAMES.get(dataset, dataset))
        axis.set_ylabel(label)
        axis.set_xlabel("error rate e = r / (1 + r)")
        axis.grid(alpha=0.3)
    _shared_legend(figure, axes)
    return figure


def _coloured(axis: Axes, cells: pd.DataFrame, colour: str, name: str) -> None:
    """Own, published and floor curves in one colour, told apart by their lines."""
    cells = cells.sort_values("error_rate")
    e = cells["error_rate"]
    spread = [cells["ours"] - cells["ci_low"], cells["ci_high"] - cells["ours"]]
    style = {"fmt": "-o", "capsize": 3, "color": colour}
    axis.errorbar(e, cells["ours"], yerr=spread, **style, label=f"{name}, ours, 95 % CI")
    axis.plot(e, cells["floor"], "--", color=colour, label=f"{name}, noise floor")
    if cells["published"].notna().any():
        published = NAMES.get(cells["stands_in_for"].iloc[0])
        style = {"color": colour, "markersize": 5, "alpha": 0.6}
        axis.plot(e, cells["published"], ":s", **style, label=f"paper, {published}")


def context_figure(tables: list[pd.DataFrame]) -> Figure:
    """What the source is worth: NLL of the clean run, and its rise at the highest noise ratio,
    against the share of the source that is kept."""
    (table,) = tables
    figure, axes = plt.subplots(1, 2, figsize=(8.8, 4.2), squeeze=False)
    figure.set_layout_engine("constrained")
    worst = table["noise_ratio"].max()
    panels = [(0, "sequence_nll", "clean run: NLL (nats/sequence)")]
    panels += [(worst, "sequence_nll_rise", f"rise at r = {worst:g} (nats/sequence)")]
    for (ratio, metric, label), axis in zip(panels, axes.flat, strict=True):
        cells = table[(table["metric"] == metric) & (table["noise_ratio"] == ratio)]
        for dataset, colour in zip(dict.fromkeys(table["dataset"]), DATASETS, strict=False):
            _by_share(axis, cells[cells["dataset"] == dataset], colour)
        axis.set_xlabel("share of the source's length limit (%)")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    _shared_legend(figure, axes)
    return figure


def _by_share(axis: Axes, cells: pd.DataFrame, colour: str) -> None:
    cells = cells.sort_values("source_share")
    name = NAMES.get(cells["dataset"].iloc[0], cells["dataset"].iloc[0])
    spread = [cells["ours"] - cells["ci_low"], cells["ci_high"] - cells["ours"]]
    style = {"fmt": "-o", "capsize": 3, "color": colour}
    share = 100 * cells["source_share"]
    axis.errorbar(share, cells["ours"], yerr=spread, **style, label=f"{name}, ours, 95 % CI")
    if cells["noise_ratio"].iloc[0] > 0:
        axis.plot(share, cells["floor"], "--", color=colour, label=f"{name}, noise floor")


# Seven that differ in lightness as well, for quantities in their order.
ORDERED = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")


def scale_figure(tables: list[pd.DataFrame]) -> Figure:
    """What noise costs, by numbers of classes and images: a row per budget; against images per
    class and against images in all (a colour per number of classes), and against classes (a colour
    per number of images per class). The curves fall together where the axis is what matters."""
    (table,) = tables
    table = table.assign(per_class=table["train_size"] / table["classes"])
    table = table[table["metric"] == "accuracy_relative_drop"]
    budgets = [budget for budget in BUDGETS if (table["budget"] == budget).any()]
    size = {"figsize": (13, 3.9 * len(budgets)), "layout": "constrained"}
    figure, axes = plt.subplots(len(budgets), 3, **size, squeeze=False, sharey="row", sharex="col")
    columns = [("per_class", "classes", "images per class", "{:g} classes")]
    columns += [("train_size", "classes", "images in all", "{:g} classes")]
    columns += [("classes", "per_class", "classes", "{:g} images per class")]
    for budget, row in zip(budgets, axes, strict=True):
        cells = table[table["budget"] == budget]
        ratio = cells["noise_ratio"].max()
        for axis, (x, constant, label, name) in zip(row, columns, strict=True):
            marker, colours = ("o", ORDERED) if constant == "classes" else ("s", ORDERED[::-1])
            groups = cells.groupby(constant)
            for colour, (value, part) in zip(colours, groups, strict=False):
                _with_spread(axis, part.sort_values(x), x, name.format(value), colour, marker)
            axis.axhline(0, color=FLOOR, linestyle="--", label="noise floor (calibrated model)")
            _logarithmic(axis, cells[x])
            axis.set_xlabel(label)
            axis.grid(alpha=0.3)
        row[0].set_ylabel(f"{BUDGETS[budget]}\nrelative loss of accuracy at r = {ratio:g} (%)")
    _shared_legend(figure, axes, columns=4)
    return figure


def _logarithmic(axis: Axes, values: pd.Series) -> None:
    """A logarithmic axis with ticks at the values that there are."""
    axis.set_xscale("log")
    axis.set_xticks(sorted(set(values)), minor=False)
    axis.set_xticks([], minor=True)
    axis.xaxis.set_major_formatter("{x:,g}")


def _with_spread(
    axis: Axes, cells: pd.DataFrame, x: str, name: str, colour: str, marker: str = "o"
) -> None:
    """Own numbers with their intervals against a column of the table."""
    spread = [cells["ours"] - cells["ci_low"], cells["ci_high"] - cells["ours"]]
    style = {"fmt": f"-{marker}", "capsize": 3, "color": colour}
    axis.errorbar(cells[x], cells["ours"], yerr=spread, **style, label=f"{name}, 95 % CI")


def batch_figure(tables: list[pd.DataFrame]) -> Figure:
    """Final clean score against the batch multiplier, at the same number of clean examples: a
    panel per family and data set, a colour per noise ratio; crosses are runs that diverged."""
    table = pd.concat(tables)
    table = table[table["metric"].isin(["accuracy", "nll"])]
    panels = table.groupby(["dataset", "metric"], sort=False)
    size = {"figsize": (5.2 * panels.ngroups, 4.6), "layout": "constrained"}
    figure, axes = plt.subplots(1, panels.ngroups, **size, squeeze=False)
    for ((dataset, metric), part), axis in zip(panels, axes.flat, strict=True):
        for colour, (ratio, cells) in zip((OURS, PAPER), part.groupby("noise_ratio"), strict=False):
            _by_multiplier(axis, cells.sort_values("batch_multiplier"), ratio, colour)
        _logarithmic(axis, part["batch_multiplier"])
        axis.xaxis.set_major_formatter("×{x:g}")
        axis.set_title(NAMES.get(dataset, dataset))
        axis.set_xlabel("batch (steps ÷ the same factor)")
        unit = part["unit"].iloc[0]
        axis.set_ylabel(f"clean-test {NAMES[metric].removeprefix('clean-test ')} ({unit})")
        axis.grid(alpha=0.3)
    _shared_legend(figure, axes)
    return figure


def _by_multiplier(axis: Axes, cells: pd.DataFrame, ratio: float, colour: str) -> None:
    name = "clean" if ratio == 0 else f"r = {ratio:g}"
    _with_spread(axis, cells, "batch_multiplier", name, colour)
    if ratio > 0:
        style = {"linestyle": "--", "color": colour}
        axis.plot(cells["batch_multiplier"], cells["floor"], **style, label=f"{name}, noise floor")
    diverged = cells[cells["ours"].isna()]
    if len(diverged):
        where = axis.get_xaxis_transform()  # height as a share of the panel
        style = {"marker": "x", "color": colour, "linestyle": "none", "transform": where}
        height = [0.03] * len(diverged)
        axis.plot(diverged["batch_multiplier"], height, **style, label=f"{name}, diverged")


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
    _shared_legend(figure, axes)
    return figure


PROTOCOLS = {
    "tokens": "token noise (text)",
    "sequences": "sequence noise (released code)",
}
KINDS = {"clean": (OURS, "o"), "corrupt": (PAPER, "^")}


def gradient_figure(tables: list[pd.DataFrame]) -> Figure:
    """Measured gradients (Figure 4): a row per protocol; (a) in a plane through the direction of
    the clean sum, (b) the norm of their sums against their number. tables: the projection and the
    growth, as project_gradients writes them."""
    projection, growth = tables
    protocols = list(dict.fromkeys(projection["protocol"]))
    size = {"figsize": (11, 4.4 * len(protocols)), "layout": "constrained"}
    figure, axes = plt.subplots(len(protocols), 2, **size, squeeze=False)
    for protocol, (plane, sums) in zip(protocols, axes, strict=True):
        norms = growth[growth["protocol"] == protocol]
        points = projection[projection["protocol"] == protocol]
        _gradient_plane(plane, points, norms["norm_clean"].iloc[0])
        _gradient_growth(sums, norms)
        plane.set_title(f"(a) {PROTOCOLS[protocol]}")
        sums.set_title(f"(b) {PROTOCOLS[protocol]}")
    _shared_legend(figure, axes, columns=3)
    return figure


def _gradient_plane(axis: Axes, points: pd.DataFrame, length: float) -> None:
    """An arrow per gradient from the origin. length: the mean one of a clean gradient, for the
    line where clean gradients would end if they were orthogonal to each other: their sum has a
    part of each, so that even then its direction is theirs."""
    for kind, (colour, marker) in KINDS.items():
        part = points[points["kind"] == kind]
        x, y = part["x"], part["y"]
        axis.plot([0 * x, x], [0 * y, y], color=colour, alpha=0.35, linewidth=0.8)
        style = {"color": colour, "markersize": 4, "linestyle": "none"}
        axis.plot(x, y, marker, **style, label=f"gradients of {kind} targets")
    orthogonal = length / np.sqrt((points["kind"] == "clean").sum())
    name = "clean ones, were they orthogonal"
    axis.axvline(orthogonal, color=FLOOR, linestyle="--", linewidth=1, label=name)
    shares = (100 * points[["share_x", "share_y"]].iloc[0]).map("{:.2g} %".format)
    axis.set_xlabel(f"along the clean sum ({shares['share_x']} of the squared length)")
    axis.set_ylabel(f"across, longest ({shares['share_y']} of the squared length)")
    axis.set_aspect("equal", adjustable="datalim")
    axis.grid(alpha=0.3)


def _gradient_growth(axis: Axes, sums: pd.DataFrame) -> None:
    """Norms of the sums of m gradients, and what their mean length and cosine predict."""
    m, first, last = sums["count"], sums.iloc[0], sums.iloc[-1]
    for kind, (colour, marker) in KINDS.items():
        half = 1.96 * sums[f"norm_{kind}_se"]
        style = {"fmt": marker, "color": colour, "markersize": 5, "capsize": 3}
        axis.errorbar(m, sums[f"norm_{kind}"], yerr=half, **style, label=f"{kind} sum, 95 % CI")
        name = f"{kind}, from mean length and cosine"
        axis.plot(m, sums[f"predicted_{kind}"], "--", color=colour, label=name)
    _guide(axis, m, 1.3 * max(first["norm_clean"], first["norm_corrupt"]), 1, "∝ m")
    _guide(axis, m, min(first["norm_clean"], first["norm_corrupt"]) / 1.3, 0.5, "∝ √m")
    words = f"mean cosine: clean {first['cosine_clean']:.3f}, corrupt {first['cosine_corrupt']:.3f}"
    words += f"\nSNR: {first['snr']:.2f} at m = 1, {last['snr']:.2f} at m = {last['count']:g}"
    axis.text(0.03, 0.96, words, transform=axis.transAxes, va="top")
    _logarithmic(axis, m)
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("")
    axis.margins(x=0.12)
    axis.set_xlabel("gradients in the sum, m")
    axis.set_ylabel("norm of the sum")
    axis.grid(alpha=0.3)


def _guide(axis: Axes, m: pd.Series, start: float, slope: float, name: str) -> None:
    """A line of a slope on logarithmic axes, its name behind its end."""
    y = start * m**slope
    axis.plot(m, y, color=FLOOR, linestyle=":", linewidth=1)
    end, offset = (m.iloc[-1], y.iloc[-1]), (4, 0)
    axis.annotate(name, end, offset, textcoords="offset points", va="center")


FAMILY_COLOURS = dict(zip(FAMILY_NAMES, ORDERED, strict=False))
MARKERS = ("o", "s", "^", "D", "v")
ENDS = ["ci_low", "ci_high"]


def spectrum_figure(tables: list[pd.DataFrame]) -> Figure:
    """The spectrum of robustness: relative loss as the paper measures it (left) and what of it is
    above the noise floor (right); our runs (top) and the paper's printed numbers (bottom). A colour
    per family, a marker per data set."""
    size = {"figsize": (13, 8.6), "layout": "constrained"}
    figure, axes = plt.subplots(2, 2, **size, sharex=True, sharey="row")
    for column, table, row in zip(("ours", "published"), tables, axes, strict=True):
        _spectrum_row(row, table, column)
    for axis, title in zip(axes[0], ("what is lost", "what of it is above the floor"), strict=True):
        axis.set_title(title)
    for axis in axes[-1]:
        axis.set_xlabel("error rate e = r / (1 + r)")
    return figure


def _spectrum_row(row, table: pd.DataFrame, column: str) -> None:
    """Both panels of our numbers or of the printed ones, and their legend."""
    curves = list(table.groupby(["family", "dataset", "panel"], sort=False))
    for (family, *_), cells in curves:
        before = [key for key, _ in curves if key[0] == family]
        marker = MARKERS[before.index((family, *_)) % len(MARKERS)]
        numbers = [column, *ENDS]
        above = cells.assign(**{name: cells[name] - cells["floor"] for name in numbers})
        for axis, drawn in zip(row, (cells, above), strict=True):
            _spectrum_curve(axis, drawn, column, family, marker)
    for axis in row:
        axis.axhline(0, color=FLOOR, linewidth=0.8)
        axis.grid(alpha=0.3)
    who = "ours, 95 % CI" if column == "ours" else "the paper's printed numbers"
    row[0].set_ylabel(f"{who}\nrelative loss of the score (%)")
    place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0)}
    row[1].legend(*_legend(row[0]), **place, frameon=False, fontsize="small")


def _legend(axis: Axes) -> tuple[list, list]:
    """Handles and labels of an axis, markers without their intervals' bars."""
    handles, labels = axis.get_legend_handles_labels()
    return [getattr(handle, "lines", [handle])[0] for handle in handles], labels


def _spectrum_curve(axis: Axes, cells: pd.DataFrame, column: str, family: str, marker: str) -> None:
    """One family on one data set; nothing where there is no number, such as no floor."""
    cells = cells.dropna(subset=column).sort_values("error_rate")
    if len(cells) == 0:
        return
    dataset = cells["dataset"].iloc[0]
    fixed = ", fixed length" if "fixed" in cells["panel"].iloc[0] else ""
    name = f"{FAMILY_NAMES[family]}, {NAMES.get(dataset, dataset)}{fixed}"
    style = {"color": FAMILY_COLOURS[family], "marker": marker, "markersize": 5, "label": name}
    style |= {"linestyle": ":" if fixed else "-"}
    spread = None
    if cells["ci_low"].notna().any():
        spread = [cells[column] - cells["ci_low"], cells["ci_high"] - cells[column]]
    axis.errorbar(cells["error_rate"], cells[column], yerr=spread, capsize=2, **style)


def _shared_legend(figure: Figure, axes, columns: int = 2) -> None:
    """One legend below all panels, the paper's curves last."""
    handles = {}
    for axis in axes.flat:
        lines, texts = axis.get_legend_handles_labels()
        handles |= dict(zip(texts, lines, strict=True))
    texts = sorted(handles, key=lambda text: text.startswith("paper"))
    figure.legend(
        [handles[text] for text in texts],
        texts,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
    )


def save(figure: Figure, path: Path, kind: str) -> None:
    """Write `svg` or `png`; the same figure gives the same file."""
    metadata = {"Date": None} if kind == "svg" else None
    with plt.rc_context({"svg.hashsalt": "noiselab"}):
        figure.savefig(path, dpi=160, format=kind, metadata=metadata)
