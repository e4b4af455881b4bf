"""Layouts of tidy tables, like the paper's: as data for the report, as Markdown and as LaTeX.

All three come from the same grids of cells. As data, a table is

    title, notes, grids: [{head (of the rows), rows: [label],
        blocks: [{title, columns: [{title, kind, cells: [{text, interval, note, mark, runs}]}]}]}]

A kind is paper, ours, floor, loss (above the floor), dilution, above (both), number or text.
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass

import pandas as pd

from noiselab.answers import markup

NAMES = {
    "accuracy": "accuracy",
    "matthews": "correlation of Matthews",
    "correlation": "mean correlation of Pearson and Spearman",
    "pearson": "correlation of Pearson",
    "spearman": "correlation of Spearman",
    "right_region": "share of right decisions on planes",
    "accuracy_drop": "loss of accuracy",
    "accuracy_relative_drop": "relative loss of accuracy",
    "accuracy_difference": "difference of accuracy",
    "accuracy_drop_difference": "difference of the loss of accuracy",
    "consistency_drop_difference": "difference of the loss of consistency",
    "nll_rise_difference": "difference of the rise of NLL",
    "excess_difference": "difference above the floor",
    "best_accuracy": "accuracy of the best epoch",
    "train_accuracy": "training accuracy, true labels",
    "noisy_train_accuracy": "training accuracy, labels as taught",
    "kl": "KL(predicted ‖ true)",
    "tvd": "total variation",
    "sampled_accuracy": "accuracy of a sampled label",
    "denoising_accuracy": "accuracy by denoising error",
    "consistency": "consistency",
    "consistency_drop": "loss of consistency",
    "consistency_relative_drop": "relative loss of consistency",
    "judge_accuracy": "the judge's own test accuracy",
    "fid": "FID",
    "judge_frechet": "Fréchet distance of the judge's features (not FID)",
    "nll": "clean-test NLL",
    "train_nll": "noisy-train NLL",
    "denoised_nll": "denoised NLL",
    "nll_rise": "rise of NLL",
    "nll_relative_rise": "relative rise of NLL",
    "out_of_domain_nll": "out-of-domain NLL",
    "out_of_domain_nll_rise": "rise of out-of-domain NLL",
    "second_domain_nll": "NLL out of domain, second text",
    "second_domain_nll_rise": "rise of NLL out of domain, second text",
    "noise_nll": "NLL of the noise text",
    "unseen_noise_nll": "NLL of unseen noise text",
    "clean_noise_nll": "NLL of unseen noise text, clean model",
    "sequence_nll": "clean-test NLL per sequence",
    "sequence_nll_rise": "rise of NLL per sequence",
    "unigram_nll": "NLL of unigram counts",
    "bigram_nll": "NLL of bigram counts",
    "shuffled_source_cost": "cost of another pair's source",
    "bleu": "BLEU",
    "rouge_l": "ROUGE-L",
    "corrupted_tokens": "tokens by the teacher",
    "ended": "stopped by the end symbol",
    "empty": "empty",
    "identical": "identical to the clean target",
    "cosine_clean_clean": "cosine, clean–clean",
    "cosine_corrupt_corrupt": "cosine, corrupt–corrupt",
    "cosine_clean_corrupt": "cosine, clean–corrupt",
    "norm_clean": "norm of clean sum",
    "norm_corrupt": "norm of corrupt sum",
    "snr": "signal-to-noise ratio",
    "mean": "mean loss",
    "std": "std of loss",
    "source_q50": "source length, 50 % quantile",
    "source_q95": "source length, 95 % quantile",
    "source_q99": "source length, 99 % quantile",
    "source_q99.9": "source length, 99.9 % quantile",
    "source_limit": "longest that a model sees",
    "source_clipped": "longer sources, which are clipped",
    "multiplier": "batch multiplier",
    "batch_size": "batch",
    "steps": "iterations",
    "epochs": "epochs",
    "examples": "examples in all",
    "clean_examples": "clean examples",
    "step_tokens": "tokens per iteration",
    "gpu_batch": "batch per GPU, of 8",
    "tokens": "token noise",
    "sequences": "sequence noise",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "imagenet10": "ImageNet-10",
    "imagenet100": "ImageNet-100",
    "imagenet1000": "ImageNet-1000",
    "openwebtext": "OpenWebText",
    "wmt14": "WMT14 en→de",
    "cnn_dailymail": "CNN/DailyMail",
}
NAMES |= {"sst2": "SST-2", "sst_fine": "SST-fine", "newsgroups": "20newsgroup", "cr": "CR"}
NAMES |= {"rte": "RTE", "mrpc": "MRPC", "cola": "CoLA", "stsb": "STS-B"}
NAMES |= {"gain": "gain over the plain fit", "gain_holm": "gain over the plain fit"}
NAMES |= {"p_holm": "p after Holm's correction"}
NAMES |= {"test_accuracy": "test accuracy", "validation_nll": "validation NLL"}
NAMES |= {
    "steps_to_memory": "training until the training cases are known",
    "steps_to_most": "training until most other cases are right (80 %)",
    "steps_to_rule": "training until other cases are right (95 %)",
    "steps_to_goal": "training until the NLL is as low as wanted",
    "speedup": "times sooner",
    "step_flops": "computing of a step, over that of plain training",
    "step_seconds": "seconds of a step, over those of plain training",
    "speedup_seconds": "times sooner, in seconds",
    "learning_rate_multiplier": "learning rate, multiplied by",
    "recovery_steps": "training until the score is back",
    "recovery_share": "of that from the beginning",
    "recovered_score": "score in the end, minus that from the beginning",
}
for side, text in {"length": "length", "clean_length": "length of clean targets"}.items():
    NAMES[f"{side}_mean"] = f"{text}, mean"
    NAMES |= {f"{side}_q{q}": f"{text}, {q} % quantile" for q in (5, 25, 50, 75, 95)}
    NAMES[f"{side}_q100"] = f"{text}, longest"
# Kinds of noise in a word or two; others are called by their name.
NOISES = {"none": "clean", "uniform_label": "uniform", "shift_label": "shift"}
NOISES |= {"uniform_token": "uniform", "permuted_token": "permuted", "pair_flip": "pair flips"}
NOISES |= {"instance_dependent": "by image"}
DECIMALS = {"accuracy": 2, "kl": 6, "tvd": 4, "nll": 4, "train_nll": 4, "denoised_nll": 4}
DECIMALS |= dict.fromkeys(["steps_to_memory", "steps_to_most", "steps_to_rule"], 0)
DECIMALS |= {"steps_to_goal": 0} | dict.fromkeys(["speedup", "speedup_seconds"], 2)
DECIMALS |= dict.fromkeys(["step_flops", "step_seconds"], 2)
DECIMALS |= {"learning_rate_multiplier": 2}
DECIMALS |= {"recovery_steps": 0, "recovery_share": 0, "recovered_score": 2}
DECIMALS |= dict.fromkeys(["train_accuracy", "noisy_train_accuracy", "best_accuracy"], 2)
DECIMALS |= dict.fromkeys(["accuracy_drop", "accuracy_relative_drop"], 2)
DECIMALS |= {"right_region": 2, "gradient_matching": 5}
DECIMALS |= dict.fromkeys(["matthews", "correlation", "pearson", "spearman"], 2)
DECIMALS |= dict.fromkeys(["accuracy_difference", "excess_difference"], 2)
DECIMALS |= {"mean": 4, "std": 2, "norm_clean": 2, "norm_corrupt": 2, "snr": 2}
DECIMALS |= dict.fromkeys(["sampled_accuracy", "denoising_accuracy", "consistency"], 2)
DECIMALS |= dict.fromkeys(["consistency_drop", "consistency_relative_drop", "judge_accuracy"], 2)
DECIMALS |= dict.fromkeys(["fid", "judge_frechet"], 2)
DECIMALS |= {"out_of_domain_nll": 4, "out_of_domain_nll_rise": 4}
DECIMALS |= {"second_domain_nll": 4, "second_domain_nll_rise": 4}
DECIMALS |= dict.fromkeys(["noise_nll", "unseen_noise_nll", "clean_noise_nll"], 4)
DECIMALS |= {"unigram_nll": 4, "bigram_nll": 4}
DECIMALS |= {"nll_rise": 4, "nll_relative_rise": 2, "sequence_nll": 3, "sequence_nll_rise": 3}
DECIMALS |= dict.fromkeys(["bleu", "rouge_l", "corrupted_tokens", "ended", "empty", "identical"], 2)
DECIMALS |= {name: 1 for name in NAMES if name.startswith(("length", "clean_length"))}
DECIMALS |= dict.fromkeys(["multiplier", "batch_size", "steps", "examples", "clean_examples"], 0)
DECIMALS |= dict.fromkeys(["source_q50", "source_q95", "source_q99", "source_q99.9"], 0)
DECIMALS |= {"source_limit": 0, "source_clipped": 1}
DECIMALS |= dict.fromkeys(["gains_above_0", "gains_above_own", "gains_above_both"], 0)
DECIMALS |= {"gain": 2, "gain_holm": 2, "p_holm": 3, "surviving_share": 3, "half_positions": 1}
DECIMALS |= {"rank_correlation": 2, "rank_p": 3}
DECIMALS |= {"positions": 0, "first_share": 2}
DECIMALS |= {"epochs": 1, "step_tokens": 0, "gpu_batch": 0}
FAMILIES = {
    "classifier": "classifier",
    "vision_transformer": "vision transformer",
    "diffusion": "diffusion model",
    "language_model": "language model",
    "masked_language_model": "masked language model",
    "seq2seq": "sequence to sequence",
    "probe": "probe",
}
BUDGETS = {"fixed_clean": "training × (1 + r)", "fixed_total": "fixed training length"}


MINUS = re.compile(r"(?<![\w)\]])-(?=\d)")
RATIO_ROWS = {"Correct:Incorrect": r"100:.*", "Error rate": r"[0-9.]+ %|given.*"}
WIDEST = 4  # blocks side by side
ABOVE = "loss above the floor"  # positive is worse, whichever way the score counts
# Scores with a floor of which more is better, so that what is lost is floor - ours.
MORE_IS_BETTER = {"accuracy", "best_accuracy", "train_accuracy", "noisy_train_accuracy"}
MORE_IS_BETTER |= {"sampled_accuracy", "denoising_accuracy", "consistency", "bleu", "rouge_l"}


@dataclass(frozen=True)
class Cell:
    """A number as people read it, and the runs that it comes from."""

    text: str = ""  # empty: there is nothing
    interval: tuple[str, str] | None = None
    note: str = ""
    mark: str = ""
    runs: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [self.text, f"[{', '.join(self.interval)}]" if self.interval else ""]
        parts += [f"({self.note})" if self.note else "", self.mark]
        return " ".join(part for part in parts if part)


def loss_above_floor(
    metric: str, excess: float, low: float, high: float
) -> tuple[float, float, float]:
    """An excess (ours - floor) and its interval as a loss: positive is worse."""
    if metric not in MORE_IS_BETTER:
        return excess, low, high
    return 0.0 - excess, 0.0 - high, 0.0 - low  # so that 0 has no minus sign


def grids(table: pd.DataFrame) -> list[pd.DataFrame]:
    """A table whose blocks are too many to stand side by side as several, one per metric."""
    blocks = table.groupby(["dataset", "panel"], sort=False)["metric"]
    if blocks.ngroups <= WIDEST or blocks.nunique().max() > 1:
        return [layout(table)]
    return [layout(part) for _, part in table.groupby("metric", sort=False)]


def layout(table: pd.DataFrame) -> pd.DataFrame:
    """Rows as in the paper, columns (block, kind of number); cells."""
    columns = {}
    rows_are_datasets = (table["dataset"].nunique() > 1) & table["dataset"].notna().all()
    rows_are_datasets &= table.groupby("row")["dataset"].nunique().max() == 1
    for key, part in table.groupby(
        ["panel"] if rows_are_datasets else ["dataset", "panel"], sort=False
    ):
        title = ": ".join(NAMES.get(name, name) for name in key)
        part = part.set_index("row")
        columns |= {(title, kind): cells for kind, cells in _columns(part).items()}
    fits = (head for head, row in RATIO_ROWS.items() if table["row"].str.fullmatch(row).all())
    head = next(fits, "")
    # Data sets may lack rows that others have, such as a score of their own; those of noise ratios
    # stand in their order even where the first data set lacks some.
    ordered = table.sort_values("noise_ratio", kind="stable") if head else table
    grid = pd.DataFrame(columns).reindex(ordered["row"].unique())
    grid = grid.map(lambda cell: cell if isinstance(cell, Cell) else Cell())
    return grid.rename_axis(head)


def _columns(part: pd.DataFrame) -> dict[str, pd.Series]:
    """The columns of one block; those that have no number are left out."""
    found = {}
    if part["published"].notna().any():
        of = part["stands_in_for"].iloc[0]
        found[f"paper, {NAMES.get(of, of)}"] = _numbers(part, "published")
    if "published_min" in part and part["published_min"].notna().any():
        found["paper (min, max)"] = _printed_range(part)
    if part[["ours", "reason"]].notna().any(axis=None):
        cells = [_ours(row, _has_several(part)) for row in part.itertuples()]
        found[_ours_title(part)] = pd.Series(cells, part.index)
    if "with_empty" in part and part["with_empty"].notna().any():
        found["ours, empty batches as 0"] = _numbers(part, "with_empty")
    if part["floor"].notna().any():
        found["floor"] = _numbers(part, "floor")
        ends = part["excess_low"].notna().any()
        title = "spread above the floor" if (part["metric"] == "std").all() else ABOVE
        above = pd.Series([_above(row) for row in part.itertuples()], part.index)
        found[f"{title} [95 % CI]" if ends else title] = above
    if "dilution" in part and part["dilution"].notna().any():
        found["dilution"] = _numbers(part, "dilution", "+")
        both = [_above_both(row) for row in part.itertuples()]
        found["above both [95 % CI]"] = pd.Series(both, part.index)
    return found


# Intervals over the items of one training: how trainings differ is not in them.
ONE = ("wilson_items", "bootstrap_items", "t_sequences", "t_items", "chi2_batches", "t_batches")
ONE += ("none",)


def on_one_training(n_seeds: float, interval: str) -> bool:
    """Whether a number, by its seeds and its kind of interval, rests on one training."""
    return n_seeds == 1 and all(kind in ONE for kind in str(interval).split(", "))


def _of_one(row) -> bool:
    return on_one_training(row.n_seeds, row.interval)


def _ours_title(part: pd.DataFrame) -> str:
    one = ", one training" if _has_single(part) and not _has_several(part) else ""
    if not part["ci_low"].notna().any():
        return f"ours{one}"
    mixed = (part["interval"] == "range").any()
    return "ours [min, max; norms: 95 % CI]" if mixed else f"ours{one} [95 % CI]"


def _has_single(part: pd.DataFrame) -> bool:
    return any(_of_one(row) for row in part[part["ours"].notna()].itertuples())


def _has_several(part: pd.DataFrame) -> bool:
    return (part["n_seeds"] > 1).any()


def _ours(row, mixed: bool) -> Cell:
    """A cell. mixed: whether cells beside it rest on more trainings."""
    mark = "†" if pd.notna(row.competence) else ""
    if pd.isna(row.ours):
        return Cell("—", note=str(row.reason), runs=_run_ids(row))
    note = "one training" if mixed and _of_one(row) else ""
    ends = _interval(row.ci_low, row.ci_high, row.metric)
    return Cell(number_text(row.ours, row.metric), ends, note, mark, _run_ids(row))


def _above(row) -> Cell:
    value, *ends = loss_above_floor(row.metric, row.excess, row.excess_low, row.excess_high)
    text = number_text(value, row.metric, "+")
    return Cell(text, _interval(*ends, row.metric, "+") if text else None, runs=_run_ids(row))


def _above_both(row) -> Cell:
    """What is left above floor and dilution."""
    text = number_text(row.above_both, row.metric, "+")
    ends = _interval(row.above_low, row.above_high, row.metric, "+") if text else None
    return Cell(text, ends, runs=_run_ids(row))


def _interval(low: float, high: float, metric: str, sign: str = "") -> tuple[str, str] | None:
    if pd.isna(low):
        return None
    return number_text(low, metric, sign), number_text(high, metric, sign)


def _run_ids(row) -> tuple[str, ...]:
    """Ids of the runs behind a row of a tidy table."""
    runs = getattr(row, "runs", None)
    return tuple(runs.split()) if isinstance(runs, str) else ()


def _printed_range(part: pd.DataFrame) -> pd.Series:
    """Smallest and largest value that the paper prints, with its two decimals."""
    ends = zip(part["published_min"], part["published_max"], strict=True)
    texts = ["" if pd.isna(low) else f"({low:+.2f}, {high:+.2f})" for low, high in ends]
    return pd.Series(map(Cell, texts), part.index)


def _numbers(part: pd.DataFrame, column: str, sign: str = "") -> pd.Series:
    """Numbers without an interval; the paper's have no runs."""
    runs = [() if column == "published" else _run_ids(row) for row in part.itertuples()]
    triples = zip(part[column], part["metric"], runs, strict=True)
    cells = [Cell(number_text(value, metric, sign), runs=ids) for value, metric, ids in triples]
    return pd.Series(cells, part.index)


def number_text(
    value: float | None, metric: str, sign: str = "", decimals: int | None = None
) -> str:
    """A number with so many decimals, or those of its metric; empty where there is none."""
    decimals = DECIMALS.get(metric, 3) if decimals is None else decimals
    return "" if pd.isna(value) else f"{value:{sign},.{decimals}f}"


def true_minus(text: str) -> str:
    """A text in which a hyphen before a number is a minus sign."""
    return MINUS.sub("−", text)


def data(table: pd.DataFrame, title: str, notes: list[str]) -> str:
    """The table as JSON, for the report."""
    found = [_grid_data(grid) for grid in grids(table)]
    return content(title, notes, found)


def content(title: str, notes: list[str], grids: list[dict]) -> str:
    """JSON of a table."""
    whole = {"title": title, "notes": notes, "grids": grids}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def _grid_data(grid: pd.DataFrame) -> dict:
    blocks = [
        {"title": title, "columns": [_column(kind, grid[title, kind]) for kind in grid[title]]}
        for title in dict.fromkeys(grid.columns.get_level_values(0))
    ]
    return {"head": grid.index.name or "", "rows": grid.index.to_list(), "blocks": blocks}


def _column(title: str, cells: pd.Series) -> dict:
    kind = title.split()[0].rstrip(",")
    kind = "loss" if kind == "spread" else kind
    return {"title": title, "kind": kind, "cells": [asdict(cell) for cell in cells]}


def records(frame: pd.DataFrame, text: tuple[str, ...] = (), title: str = "") -> dict:
    """Any table of text as a grid of one block; its first column names the rows. text: columns
    that are words, not numbers."""
    head, *others = frame.columns if len(frame.columns) else ("",)
    columns = [
        {
            "title": name,
            "kind": "text" if name in text else "number",
            "cells": [asdict(Cell(str(value))) for value in frame[name]],
        }
        for name in others
    ]
    rows = [str(value) for value in frame.get(head, ())]
    return {"head": head, "rows": rows, "blocks": [{"title": title, "columns": columns}]}


def markdown(table: pd.DataFrame, title: str, notes: list[str]) -> str:
    """Markdown with title and notes; column heads of both levels in one line."""
    lines = [f"## {markup.markdown(title)}", ""]
    for grid in grids(table):
        text = _escaped(grid, markup.markdown)
        text.columns = [f"{what}<br>{kind}" for what, kind in text.columns]
        lines += [text.to_markdown(disable_numparse=True), ""]
    return true_minus("\n".join(lines + [f"{markup.markdown(note)}\n" for note in notes]))


def _escaped(grid: pd.DataFrame, escape: Callable[[str], str]) -> pd.DataFrame:
    """A grid of texts, rows and heads too."""
    text = grid.map(lambda cell: escape(str(cell)))
    text.columns = text.columns.map(lambda column: tuple(map(escape, column)))
    text.index = grid.index.map(escape)
    return text.rename_axis(escape(grid.index.name))


def latex(table: pd.DataFrame, title: str, notes: list[str]) -> str:
    """A table environment for a paper, or several; needs the package booktabs."""
    return "\n".join(_latex_table(grid, title, notes) for grid in grids(table))


def _latex_table(grid: pd.DataFrame, title: str, notes: list[str]) -> str:
    return _escaped(grid, markup.latex).style.to_latex(
        hrules=True,
        multicol_align="c",
        caption=markup.latex(" ".join([f"{title}.", *notes])),
        position_float="centering",
    )


FORMATS = {"md": markdown, "tex": latex, "json": data}


INTERVALS = {
    "wilson_items": "Wilson interval over test items, one training",
    "bootstrap_items": "bootstrap over test items, one training",
    "t_sequences": "t-interval over sequences, one training",
    "t_items": "t-interval over test items, one training",
    "t_batches": "of the mean over batches",
    "chi2_batches": "chi-squared interval over macro-batches, one training",
    "t_seeds": "t-interval over trainings (seeds)",
    "log_t_seeds": "t-interval over the logarithms of trainings (seeds), around a geometric mean",
    "median_seeds": "of the median over trainings (seeds), as some never come there (sign test)",
    "t_fits": "t-interval over fits of one backbone (first weights, order, noise)",
    "t_fits_holm": "the same after Holm's correction, for all cells together",
    "t_seeds_holm": "t-interval over trainings after Holm's correction, for all cells together",
    "t_datasets": "t-interval over data sets",
    "wilson_trainings": "Wilson interval over trainings",
    "closed_form": "closed form, no spread",
}
