"""Layouts of tidy tables: Markdown, LaTeX, HTML, like the paper's."""

import html

import numpy as np
import pandas as pd

from noiselab.noise.registry import CORRUPTIONS

NAMES = {
    "accuracy": "accuracy",
    "accuracy_drop": "loss of accuracy",
    "accuracy_relative_drop": "relative loss of accuracy",
    "accuracy_difference": "difference of accuracy",
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
for side, text in {"length": "length", "clean_length": "length of clean targets"}.items():
    NAMES[f"{side}_mean"] = f"{text}, mean"
    NAMES |= {f"{side}_q{q}": f"{text}, {q} % quantile" for q in (5, 25, 50, 75, 95)}
    NAMES[f"{side}_q100"] = f"{text}, longest"
DECIMALS = {"accuracy": 2, "kl": 6, "tvd": 4, "nll": 4, "train_nll": 4, "denoised_nll": 4}
DECIMALS |= dict.fromkeys(["train_accuracy", "noisy_train_accuracy", "best_accuracy"], 2)
DECIMALS |= dict.fromkeys(["accuracy_drop", "accuracy_relative_drop"], 2)
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
DECIMALS |= {"epochs": 1, "step_tokens": 0, "gpu_batch": 0}
FAMILIES = {
    "classifier": "classifier",
    "vision_transformer": "vision transformer",
    "diffusion": "diffusion model",
    "language_model": "language model",
    "seq2seq": "sequence to sequence",
}
BUDGETS = {"fixed_clean": "training × (1 + r)", "fixed_total": "fixed training length"}


WIDEST = 4  # blocks side by side


def grids(table: pd.DataFrame) -> list[pd.DataFrame]:
    """A table whose blocks are too many to stand side by side as several, one per metric."""
    blocks = table.groupby(["dataset", "panel"], sort=False)["metric"]
    if blocks.ngroups <= WIDEST or blocks.nunique().max() > 1:
        return [layout(table)]
    return [layout(part) for _, part in table.groupby("metric", sort=False)]


def layout(table: pd.DataFrame) -> pd.DataFrame:
    """Rows as in the paper, columns (panel, kind of number); text."""
    columns = {}
    rows_are_datasets = (table["dataset"].nunique() > 1) & table["dataset"].notna().all()
    rows_are_datasets &= table.groupby("row")["dataset"].nunique().max() == 1
    for key, part in table.groupby(
        ["panel"] if rows_are_datasets else ["dataset", "panel"], sort=False
    ):
        title = ": ".join(NAMES.get(name, name) for name in key)
        part = part.set_index("row")
        columns |= {(title, kind): text for kind, text in _texts(part).items()}
    heads = {"Correct:Incorrect": r"100:.*", "Error rate": r"[0-9.]+ %|given.*"}
    fitting = [head for head, row in heads.items() if table["row"].str.fullmatch(row).all()]
    # Data sets may lack rows that others have, such as a score of their own.
    grid = pd.DataFrame(columns).reindex(table["row"].unique()).fillna("")
    return grid.rename_axis(fitting[0] if fitting else "")


def _texts(part: pd.DataFrame) -> dict[str, pd.Series]:
    """The columns of one panel, as text; those that have no number are left out."""
    texts = {}
    if part["published"].notna().any():
        name = NAMES.get(part["stands_in_for"].iloc[0])
        texts[f"paper, {name}"] = _numbers(part, "published")
    if "published_min" in part and part["published_min"].notna().any():
        texts["paper (min, max)"] = _printed_range(part)
    if part[["ours", "reason"]].notna().any(axis=None):
        cells = [_ours(row, _has_several(part)) for row in part.itertuples()]
        texts[_ours_title(part)] = pd.Series(cells, part.index)
    if "with_empty" in part and part["with_empty"].notna().any():
        texts["ours, empty batches as 0"] = _numbers(part, "with_empty")
    if part["floor"].notna().any():
        texts["floor"] = _numbers(part, "floor")
        ends = part["excess_low"].notna().any()
        excess = pd.Series([_excess(row) for row in part.itertuples()], part.index)
        texts["excess [95 % CI]" if ends else "excess"] = excess
    if "dilution" in part and part["dilution"].notna().any():
        texts["dilution"] = _numbers(part, "dilution", "+")
        above = [_above_both(row) for row in part.itertuples()]
        texts["above both [95 % CI]"] = pd.Series(above, part.index)
    return texts


# Intervals over the items of one training: how trainings differ is not in them.
ONE = ("wilson_items", "bootstrap_items", "t_sequences", "t_items", "chi2_batches", "none")


def on_one_training(n_seeds: float, interval: str) -> bool:
    """Whether a number, by its seeds and its kind of interval, rests on one training."""
    return n_seeds == 1 and interval in ONE


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


def _ours(row, mixed: bool) -> str:
    """A cell. mixed: whether cells beside it rest on more trainings."""
    mark = " †" if pd.notna(row.competence) else ""
    if pd.isna(row.ours):
        return f"— ({row.reason})"
    text = _with_interval(number_text(row.ours, row.metric), row.ci_low, row.ci_high, row.metric)
    return text + (" (one training)" if mixed and _of_one(row) else "") + mark


def _excess(row) -> str:
    text = number_text(row.excess, row.metric, "+")
    return _with_interval(text, row.excess_low, row.excess_high, row.metric, "+")


def _above_both(row) -> str:
    """What is left above floor and dilution."""
    text = number_text(row.above_both, row.metric, "+")
    return _with_interval(text, row.above_low, row.above_high, row.metric, "+")


def _with_interval(text: str, low: float, high: float, metric: str, sign: str = "") -> str:
    if pd.isna(low) or not text:
        return text
    return f"{text} [{number_text(low, metric, sign)}, {number_text(high, metric, sign)}]"


def _printed_range(part: pd.DataFrame) -> pd.Series:
    """Smallest and largest value that the paper prints, with its two decimals."""
    ends = zip(part["published_min"], part["published_max"], strict=True)
    texts = ["" if pd.isna(low) else f"({low:+.2f}, {high:+.2f})" for low, high in ends]
    return pd.Series(texts, part.index)


def _numbers(part: pd.DataFrame, column: str, sign: str = "") -> pd.Series:
    pairs = zip(part[column], part["metric"], strict=True)
    return pd.Series([number_text(value, metric, sign) for value, metric in pairs], part.index)


def number_text(
    value: float | None, metric: str, sign: str = "", decimals: int | None = None
) -> str:
    """A number with so many decimals, or those of its metric; empty where there is none."""
    decimals = DECIMALS.get(metric, 3) if decimals is None else decimals
    return "" if pd.isna(value) else f"{value:{sign},.{decimals}f}"


def markdown(table: pd.DataFrame, title: str, notes: list[str]) -> str:
    """Markdown with title and notes; column heads of both levels in one line."""
    lines = [f"## {title}", ""]
    for grid in grids(table):
        grid.columns = [f"{what}<br>{kind}" for what, kind in grid.columns]
        lines += [grid.to_markdown(disable_numparse=True), ""]
    return "\n".join(lines + [f"{note}\n" for note in notes])


def latex(table: pd.DataFrame, title: str, notes: list[str]) -> str:
    """A table environment for a paper, or several; needs the package booktabs."""
    return "\n".join(_latex_table(grid, title, notes) for grid in grids(table))


def _latex_table(grid: pd.DataFrame, title: str, notes: list[str]) -> str:
    text = grid.map(_latex_escape)
    text.columns = text.columns.map(lambda c: tuple(_latex_escape(part) for part in c))
    styled = text.style.to_latex(
        hrules=True,
        multicol_align="c",
        caption=_latex_escape(" ".join([f"{title}.", *notes])),
        position_float="centering",
    )
    return styled


LATEX = {"‖": r"$\|$", "−": "-", "–": "--", "—": "---", "→": r"$\to$", "†": r"$\dagger$"}


def _latex_escape(text: str) -> str:
    for character, code in LATEX.items():
        text = text.replace(character, code)
    return "".join(rf"\{c}" if c in "%_&#" else c for c in text)


STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem; color: #1b1f24; background: #fff; }
h1 { font-size: 1.15rem; }
.scroll { overflow-x: auto; margin-bottom: 1.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap; }
thead th { border-bottom: 1px solid #57606a; text-align: center; }
tbody tr:nth-child(even) { background: #f3f5f7; }
tbody th { text-align: left; font-weight: 600; }
.wrap td { white-space: normal; text-align: left; vertical-align: top; }
p { max-width: 48rem; color: #424a53; }
@media print { body { margin: 0; font-size: 11px; } .scroll { overflow: visible; } }
"""


def page(title: str, body: str) -> str:
    """A self-contained HTML page; `body` must be escaped already. The report takes over what is
    in its <main> and, as a title, its <h1>."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><h1>{html.escape(title)}</h1><main>{body}</main></body></html>\n"
    )


def html_page(table: pd.DataFrame, title: str, notes: list[str]) -> str:
    """The table as a page of its own."""
    body = ""
    for grid in grids(table):
        grid.index.name = None
        body += f'<div class="scroll">{grid.to_html(escape=True, border=0)}</div>'
    paragraphs = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    return page(title, body + paragraphs)


FORMATS = {"md": markdown, "tex": latex, "html": html_page}


INTERVALS = {
    "wilson_items": "Wilson interval over test items, one training",
    "bootstrap_items": "bootstrap over test items, one training",
    "t_sequences": "t-interval over sequences, one training",
    "t_items": "t-interval over test items, one training",
    "t_batches": "of the mean over batches",
    "chi2_batches": "chi-squared interval over macro-batches, one training",
    "t_seeds": "t-interval over trainings (seeds)",
    "wilson_trainings": "Wilson interval over trainings",
    "closed_form": "closed form, no spread",
}


def notes(table: pd.DataFrame, tier: str, floor: str) -> list[str]:
    """What a reader must know to read the numbers. floor: what the floor of this table is."""
    kinds = [INTERVALS[k] for k in dict.fromkeys(table["interval"]) if k in INTERVALS]
    seeds = ", ".join(f"{n:g}" for n in sorted(set(table["n_seeds"].dropna())) if n)
    was_run = table[["ours", "reason"]].notna().any(axis=None)  # what diverged was run, too
    lines = [f"Tier {tier}."] if was_run else ["Nothing of this was run here."]
    if tier != "paper" and was_run:
        lines[0] = f"Tier {tier}: networks, data or training are smaller than the paper's."
    if seeds:
        lines[0] += f" Seeds per cell: {seeds}."
    if kinds:
        lines[0] += f" 95 % CI: {', '.join(kinds)}."
    if _has_single(table):
        lines[0] += " Of one training, it leaves out how trainings differ."
    if table["floor"].notna().any():
        of = "ours" if table["ours"].notna().any() else "the paper's"
        lines[0] += f" Floor: {floor} Excess = {of} − floor."
    lines += [*_true_rates(table), *_class_rates(table), *_ties(table)]
    lines += [*_no_floors(table), *_weak(table)]
    standing = table.loc[
        (table["dataset"] != table["stands_in_for"]) & table["published"].notna(),
        ["dataset", "stands_in_for"],
    ].drop_duplicates()
    if len(standing):
        pairs = [
            f"{row.dataset} ({NAMES.get(row.stands_in_for, row.stands_in_for)})"
            for row in standing.itertuples()
        ]
        lines.append(
            f"Other data sets than the paper's, with smaller networks: {', '.join(pairs)}. The "
            "paper's columns are for comparing the course of the numbers, not their level."
        )
    return lines


def left_out(table: pd.DataFrame, printed: list[float]) -> list[str]:
    """A line about those of the paper's noise ratios that were not run, where others were."""
    ran = table.loc[table[["ours", "reason"]].notna().any(axis=1), "noise_ratio"].dropna()
    missing = [f"100:{100 * r:g}" for r in printed if not np.isclose(ran, r).any()]
    if len(ran) == 0 or not missing:
        return []
    return [
        f"Of the paper's noise ratios not run here: {', '.join(missing)}. Larger tiers have them."
    ]


def _true_rates(table: pd.DataFrame) -> list[str]:
    """A line per corruption of labels whose nominal rates are not the shares that are wrong."""
    labels = {name for name, kind in CORRUPTIONS.items() if kind.target == "label"}
    lines, rates = [], ["error_rate", "true_error_rate"]
    rows = table[table["corruption"].isin(labels)].dropna(subset=rates)
    rows = rows[(rows["error_rate"] - rows["true_error_rate"]).abs() > 1e-9]
    for name, own in rows.groupby("corruption", sort=False):
        groups = own.groupby(rates)["measured_error_rate"].mean()
        texts = [
            f"{_percent(nominal)} → {_percent(true)} ({_percent(measured)} measured)"
            for (nominal, true), measured in groups.items()
        ]
        lines.append(f"Error rates of {name}, nominal → true: {'; '.join(texts)}.")
    return lines


def _class_rates(table: pd.DataFrame) -> list[str]:
    """A line per set of error rates that differ by class."""
    rows = table.dropna(subset="class_error_rates").drop_duplicates("class_error_rates")
    return [
        f"Error rates by class{_at(row)}: {row.class_error_rates}." for row in rows.itertuples()
    ]


def _at(row) -> str:
    if pd.isna(row.error_rate):
        return f", as measured ({row.row})"
    return f" at {_percent(row.error_rate)}"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _ties(table: pd.DataFrame) -> list[str]:
    """How the floors of accuracies depend on what counts as a tie."""
    moved = table[table["floor_high"] - table["floor_low"] > 0.005]
    moved = moved[moved["metric"] == "accuracy"].drop_duplicates(["dataset", "row", "floor"])
    if len(moved) == 0:
        return []
    cells = [
        f"{NAMES.get(row.dataset, row.dataset)} {row.row}: {row.floor_low:.2f} to "
        f"{row.floor_high:.2f}"
        for row in moved.itertuples()
    ]
    return [f"Floors without ties, or with ties a tenth or ten times as wide: {'; '.join(cells)}."]


def _weak(table: pd.DataFrame) -> list[str]:
    """Which models are too weak to conclude from, and why."""
    reasons = table["competence"].dropna().unique()
    return [f"† Model too weak: {'; '.join(reasons)}."] if len(reasons) else []


def _no_floors(table: pd.DataFrame) -> list[str]:
    """A line per reason for which no floor is known of some metrics."""
    reasons = table.dropna(subset="floor_reason").groupby("floor_reason", sort=False)["metric"]
    return [
        f"No floor is known of {', '.join(NAMES.get(m, m) for m in dict.fromkeys(metrics))}: {why}."
        for why, metrics in reasons
    ]
