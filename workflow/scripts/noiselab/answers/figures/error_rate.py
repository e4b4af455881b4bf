"""Scores against the error rate: a figure per family, and one of two families by the same ruler."""

from dataclasses import replace

import pandas as pd

from noiselab.answers.figures import cells as rows
from noiselab.answers.figures.drawing import (
    BLUE,
    GREEN,
    MOST,
    VERMILLION,
    Axis,
    Curve,
    Drawing,
    Look,
    Panel,
    batches,
    look,
)
from noiselab.answers.figures.vegalite import drawing, narrow, wide
from noiselab.answers.layouts import BUDGETS, NAMES
from noiselab.answers.layouts import FAMILIES as FAMILY_NAMES

CORRUPTIONS = {
    "uniform_label": "uniform noise",
    "shift_label": "structured noise, y → y + 1",
}
RULERS = {
    "accuracy of the decision (%)": ("accuracy", "denoising_accuracy"),
    "accuracy of a sampled label (%)": ("sampled_accuracy", "consistency"),
}
_RULER_TITLES = dict(zip(RULERS, ("by the decision", "by a sample"), strict=True))
RULED = {"classifier": Look(BLUE, shape="circle"), "diffusion": Look(VERMILLION, shape="diamond")}
RISES = {
    "nll_relative_rise": "relative rise of clean-test NLL (%)",
    "nll_rise": "rise of clean-test NLL (nats per token)",
    "sequence_nll_rise": "rise of clean-test NLL (nats per sequence)",
}
SETS = (Look(BLUE, shape="circle"), Look(VERMILLION, shape="square"))  # data sets of a panel
OURS, DENOISED = Look(BLUE, shape="circle"), Look(GREEN, (8, 3), "triangle-up")
ACCURACY = Axis("clean-test accuracy (%)", 0, 102)
# Origins of wrong labels, in the figure of all label noise.
PEOPLE = "given by people"
ANEW = {"uniform_label": "uniform, drawn anew", "shift_label": "structured, drawn anew"}
ONCE = {"given_labels": PEOPLE, "transition_matrix": "drawn once, as people err"}
ONCE |= {"uniform_label": "uniform, drawn once"}
KINDS = (PEOPLE, *list(ONCE.values())[1:], *ANEW.values())
POINTS_FLOOR = replace(rows.FLOOR, shape="diamond", hollow=True, line=False)


def classifier_figure(tables: list[pd.DataFrame]) -> Drawing:
    """Accuracy against error rate: a panel per corruption and data set."""
    table = pd.concat(tables)
    table = table[table["metric"] == "accuracy"]
    panels, found = [], []
    for corruption, words in CORRUPTIONS.items():
        source = _corruption_table(tables, corruption)
        for dataset, part in source.groupby("dataset", sort=False):
            name = NAMES.get(dataset, dataset)
            # A decision keeps until the error rate at which another class overtakes: a step.
            lines = _three(part, "ours", step=True)
            panels.append(Panel(f"{name}, {words}", rows.error_axis(lines), ACCURACY, lines))
            found.append((f"{words} on {name}", part))
    alt = rows.findings("Accuracy under noise", found)
    return drawing(alt, panels, wide(2), narrow())


def _corruption_table(tables: list[pd.DataFrame], corruption: str) -> pd.DataFrame:
    """Accuracies of a corruption, with its clean row (whose corruption is `none`)."""
    for table in tables:
        if (table["corruption"] == corruption).any():
            return table[table["metric"] == "accuracy"]
    return tables[0].iloc[:0]


def label_noise_figure(tables: list[pd.DataFrame]) -> Drawing:
    """Accuracy against the share of labels that are wrong: those that people gave beside those that
    are wrong by design, a panel per data set that has both.

    tables: of uniform and of shifted labels, drawn anew at each visit, and of labels that were
    given, with as many drawn once.
    """
    table = pd.concat(_kinds(part) for part in tables)
    table = table[(table["metric"] == "accuracy") & table["kind"].notna()]
    table = table.assign(error_rate=table["measured_error_rate"])
    given = list(dict.fromkeys(table.loc[table["kind"] == PEOPLE, "dataset"]))
    panels, found = [], []
    for dataset in given:
        part, name = table[table["dataset"] == dataset], NAMES.get(dataset, dataset)
        lines = rows.floor(part[part["kind"] == PEOPLE], f"{PEOPLE}: floor", style=POINTS_FLOOR)
        for number, kind in enumerate(KINDS):
            own = part[part["kind"] == kind]
            lines += rows.ours(own, kind, look(number, line=kind in ANEW.values()))
            found.append((f"{kind}, {name}", own))
        panels.append(
            Panel(name, rows.error_axis(lines), rows.value_axis(ACCURACY.title, lines), lines)
        )
    alt = rows.findings("Accuracy with wrong labels of several origins", found)
    return drawing(alt, panels, wide(1, 300), narrow(height=230))


def _kinds(table: pd.DataFrame) -> pd.DataFrame:
    """Rows with their `kind`: what they are called in the figure of all label noise. The clean row
    of a table of noise that is drawn anew is where its curve begins."""
    noises = set(table["corruption"])
    if "given_labels" in noises:
        return table.assign(kind=table["corruption"].map(ONCE))
    own = next((name for noise, name in ANEW.items() if noise in noises), None)
    return table.assign(kind=own, measured_error_rate=table["measured_error_rate"].fillna(0.0))


def _three(part: pd.DataFrame, name: str, step: bool = False) -> list[Curve]:
    """Own numbers, floor and the paper's of one metric and data set."""
    floor = rows.floor(part, style=replace(rows.FLOOR, step=step))
    dataset = part["dataset"].iloc[0]
    title = f"{NAMES.get(dataset, dataset)}, {name}" if name != "ours" else dataset
    return [
        *floor,
        *rows.published(part, rows.paper(part)),
        *rows.ours(part, name, OURS, title=title),
    ]


def language_model_figure(tables: list[pd.DataFrame]) -> Drawing:
    """NLL against error rate (Figure 1): a column per budget, clean test and noisy training
    text above each other."""
    panels, found = [], []
    for metric, text in (("nll", "clean test text"), ("train_nll", "noisy training text")):
        row = []
        for table in tables:
            budget = BUDGETS[table.loc[table["corruption"] != "none", "budget"].iloc[0]]
            part = table[table["metric"] == metric]
            denoised = table[table["metric"] == "denoised_nll"] if metric == "nll" else part[:0]
            lines = _three(part, "ours")
            lines += rows.ours(denoised, "noise taken out", DENOISED)
            row.append((f"{text}, {budget}", lines))
            found += [(budget, part)] if metric == "nll" else []
        drawn = [line for _, lines in row for line in lines]
        axis = rows.value_axis("negative log-likelihood (nats per token)", drawn)
        panels += [Panel(title, rows.error_axis(lines), axis, lines) for title, lines in row]
    alt = rows.findings("Negative log-likelihood of clean text under noise", found)
    return drawing(alt, panels, wide(len(tables)), narrow())


def rulers_figure(tables: list[pd.DataFrame]) -> Drawing:
    """Classifiers and diffusion models by the same ruler: a row per ruler (the decision, a
    sampled label or image), a column per data set that both have, a colour per family."""
    (table,) = tables
    both = table.groupby("dataset", sort=False)["family"].nunique() == len(RULED)
    datasets = list(both[both].index)
    panels, found = [], []
    for label, metrics in RULERS.items():
        for dataset in datasets:
            lines = []
            for family, style in RULED.items():
                part = table[(table["dataset"] == dataset) & table["metric"].isin(metrics)]
                part = part[part["family"] == family]
                lines += _coloured(part, FAMILY_NAMES[family], style)
                found.append((f"{FAMILY_NAMES[family]} {_RULER_TITLES[label]}", part))
            title = f"{NAMES.get(dataset, dataset)}, {_RULER_TITLES[label]}"
            axes = rows.error_axis(lines), Axis(label, 0, 102)
            panels.append(Panel(title, *axes, lines))
    alt = rows.findings("Both families by the same rulers", found)
    return drawing(alt, panels, wide(2), narrow())


def _coloured(part: pd.DataFrame, name: str, style: Look) -> list[Curve]:
    """Own, floor and published curves in one colour, told apart by their lines."""
    if len(part) == 0:
        return []
    floor = replace(rows.FLOOR, colour=style.colour)
    printed = replace(rows.PUBLISHED, colour=style.colour, shape=style.shape)
    return [
        *rows.floor(part, f"{name}: floor", style=floor),
        *rows.published(part, rows.paper(part), style=printed),
        *rows.ours(part, name, style),
    ]


def seq2seq_figure(tables: list[pd.DataFrame]) -> Drawing:
    """Rise of the NLL against the error rate (Figure 2), relative as in the paper, and its
    absolute twins per token and per sequence; a colour per data set, two in a panel."""
    (table,) = tables
    panels = []
    for datasets in batches(list(dict.fromkeys(table["dataset"])), MOST // 3):
        for metric, label in RISES.items():
            lines = []
            for dataset, style in zip(datasets, SETS, strict=False):
                part = table[(table["metric"] == metric) & (table["dataset"] == dataset)]
                lines += _coloured(part, NAMES.get(dataset, dataset), style)
            axis = rows.value_axis(label, lines, zero=True)
            panels.append(Panel(_RISE_TITLES[metric], rows.error_axis(lines), axis, lines))
    relative = table[table["metric"] == "nll_relative_rise"].groupby("dataset", sort=False)
    found = [(NAMES.get(dataset, dataset), part) for dataset, part in relative]
    alt = rows.findings("Relative rise of the NLL under a noisy teacher's targets", found)
    return drawing(alt, panels, wide(3, names=92), narrow())


_RISE_TITLES = {
    "nll_relative_rise": "relative, as in the paper",
    "nll_rise": "per token",
    "sequence_nll_rise": "per sequence",
}
