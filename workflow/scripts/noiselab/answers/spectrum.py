"""The paper's spectrum of robustness: relative loss of every family, and what of it is the floor.

In per cent of the clean run's score, the one unit that accuracies and negative log-likelihoods
share; the paper compares its families so, too.
"""

import pandas as pd

from noiselab.answers.layouts import FAMILIES
from noiselab.answers.rulers import LOSSES, lost, published_floor
from noiselab.answers.tables import ratio_label, runs_table, tidy
from noiselab.planning.rates import error_rate

# Experiment -> the score that says how its family stands uniform noise, or a teacher's.
SCORES = {
    "table2": "accuracy",
    "table3": "accuracy",
    "table1": "consistency",
    "figure1_runs": "nll",
    "table7": "nll",
    "table9": "nll",
}


def spectrum_table(metrics: dict[str, pd.DataFrame], published: dict) -> pd.DataFrame:
    """Relative loss against the noise ratio, with its floor: a block per family and data set.

    metrics: experiment -> rows of runs, as collect_metrics writes them; published: the printed
    numbers by table (noiselab.planning.config.published).
    """
    parts = []
    for experiment, rows in metrics.items():
        wanted = LOSSES[SCORES[experiment]].relative
        entry = published[experiment]
        entry = entry | {"metrics": entry["metrics"] | {wanted: {}}}
        whole = rows["source_share"].fillna(1) == 1
        part = runs_table(rows[(rows["metric"] == wanted) & whole], entry)
        parts.append(part.assign(panel=[_panel(family, experiment) for family in part["family"]]))
    return pd.concat(parts, ignore_index=True)


def published_floors_table(published: dict) -> pd.DataFrame:
    """The paper's own relative losses, their floors from its clean scores alone, and what is beyond
    them: `excess` is published - floor here, for nothing is ours."""
    families = {"table2": "classifier", "table3": "vision_transformer", "table1": "diffusion"}
    families |= dict.fromkeys(("figure1_runs", "table7"), "language_model") | {"table9": "seq2seq"}
    cells = []
    for experiment, score in SCORES.items():
        entry = published[experiment]
        for dataset, values in entry["metrics"][score].items():
            classes = published.get("classes", {}).get(dataset)
            for ratio, value in zip(entry["noise_ratios"], values, strict=True):
                rate = error_rate(ratio)
                floor = published_floor(score, entry["corruption"], values[0], rate, classes)
                cells.append(
                    {"family": families[experiment], "dataset": dataset, "stands_in_for": dataset}
                    | {"panel": _panel(families[experiment], experiment)}
                    | {"row": ratio_label(ratio), "noise_ratio": ratio, "error_rate": rate}
                    | {"metric": LOSSES[score].relative, "unit": "%"}
                    | {"published": 100 * lost(score, value, values[0]) / values[0]}
                    | {"floor": _relative(score, floor, values[0])}
                )
    table = tidy(cells)
    table["excess"] = table["published"] - table["floor"]
    return table


def _relative(score: str, floor: float | None, clean: float) -> float | None:
    return None if floor is None else 100 * lost(score, floor, clean) / clean


def _panel(family: str, experiment: str) -> str:
    """Label of a block; two experiments with language models differ in their budget."""
    budgets = {"figure1_runs": ", training × (1 + r)", "table7": ", fixed training length"}
    return f"{FAMILIES[family]}{budgets.get(experiment, '')}: relative loss (%)"
