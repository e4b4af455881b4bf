"""What the published code does differently from the published text, measured side by side."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from noiselab.answers.analysis_tables import with_empty
from noiselab.answers.contrasts import contrast
from noiselab.answers.layouts import NAMES, content, number_text, records, true_minus
from noiselab.answers.multiplicity import WITHOUT_SPREAD, effects
from noiselab.answers.pairs import usual
from noiselab.answers.statistics.gradients import mean_cosine
from noiselab.measures.hypotheses import ALPHA, without_spread
from noiselab.measures.statistics import NONE, Estimate, difference, over_seeds

TITLE = "Audit: the published text and the published code side by side"
COLUMNS = ["number", "difference", "dataset", "metric", "unit", "noise_ratio"]
for side in ("text", "released", "effect"):
    COLUMNS += [side, f"{side}_low", f"{side}_high"]
COLUMNS += ["interval", "n_seeds", "says", "reason", "p_holm"]
UNSEEN = "no difference can be seen"
NOTES = [
    "Effect = as released − as in the text, of the seeds that both have, with its 95 % interval: "
    "over seeds, paired, where there are two or more; else over test items or batches, as if the "
    "runs were independent.",
    "A difference is said to be there where its p-value stays below 5 % after Holm's correction "
    "over all rows, and in this row alone where it is below 5 % only before the correction. Of one "
    "training, that leaves out how trainings differ.",
    "Numbers in the first column are those of docs/AUDIT.md.",
]


def audit_table(
    entries: dict, metrics: dict[str, pd.DataFrame], gradients: pd.DataFrame | None
) -> pd.DataFrame:
    """A row per difference, data set and metric, tidy.

    entries: the content of audit.yaml; metrics: experiment -> rows of runs, as collect_metrics
    writes them; gradients: rows of measure_gradients. What was not run has a row with the reason.
    """
    rows = []
    for entry in entries.values():
        keys = {"number": entry["number"], "difference": entry["difference"]}
        found = list(_compared(entry, metrics, gradients))
        rows += [keys | row for row in found or [{"reason": _missing(entry, metrics)}]]
    table = pd.DataFrame(rows).reindex(columns=COLUMNS).sort_values("number", kind="stable")
    return _corrected(table)


def _corrected(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with what they say after Holm's correction over all of them, and that p-value."""
    table["p_holm"] = p = effects(table, "effect", "effect_low", "effect_high")
    ends = (table[f"effect_{end}"].astype(np.float64) for end in ("low", "high"))
    says = table["says"].astype(object)
    flat = says.notna() & (says != UNSEEN) & (p == 1) & without_spread(*ends, 1)
    table["says"] = says = says.mask(flat, WITHOUT_SPREAD)
    called = says.where((says != UNSEEN) & ~flat)
    alone = called[p > ALPHA].dropna().astype(object)
    only = f"in this row alone, not after the correction for {p.notna().sum()}"
    table.loc[alone.index, "says"] = alone + f" {only}"
    return table


def _missing(entry: dict, metrics: dict) -> str:
    absent = [name for name in (entry["text"], entry["released"]) if name not in metrics]
    return f"not run: {', '.join(absent)}" if absent else "no such number in both"


def _compared(entry: dict, metrics: dict, gradients: pd.DataFrame | None) -> Iterator[dict]:
    if "noise_ratio" not in entry:
        if gradients is not None:
            yield from (_empty if "empty" in entry else _gradients)(entry, gradients)
        return
    sides = [metrics.get(entry[side]) for side in ("text", "released")]
    if any(side is None for side in sides):
        return
    ratio = entry["noise_ratio"]
    text, released = (usual(side[np.isclose(side["noise_ratio"], ratio)]) for side in sides)
    for dataset in dict.fromkeys(released["dataset"]):
        for metric in entry["metrics"]:
            pair = [
                side[(side["dataset"] == dataset) & (side["metric"] == metric)]
                for side in (text, released)
            ]
            if all(len(rows) and rows["value"].notna().all() for rows in pair):
                keys = {"dataset": dataset, "metric": metric, "unit": pair[0]["unit"].iloc[0]}
                found = contrast(*pair)
                yield keys | {
                    "noise_ratio": entry["noise_ratio"],
                    **_numbers(found.first, found.second, found.effect),
                    "n_seeds": found.n_seeds,
                }


def _numbers(before: Estimate, after: Estimate, effect: Estimate) -> dict:
    row = {"interval": effect.interval, "says": _says(effect)}
    for side, estimate in (("text", before), ("released", after), ("effect", effect)):
        row |= {side: estimate.value, f"{side}_low": estimate.ci_low}
        row[f"{side}_high"] = estimate.ci_high
    return row


def _says(effect: Estimate) -> str:
    if effect.ci_low is None:
        return "no interval"
    if effect.ci_low > 0:
        return "released is higher"
    return "released is lower" if effect.ci_high < 0 else UNSEEN


def _empty(entry: dict, gradients: pd.DataFrame) -> Iterator[dict]:
    """Norms without the batches that have nothing to sum, and with these as 0."""
    case = entry["empty"] | {"protocol": entry["released"]}
    own = gradients[(gradients[list(case)] == pd.Series(case)).all(axis=1)]
    for metric in entry["metrics"]:
        both = pd.DataFrame({"text": own[metric], "released": with_empty(own, metric)}).dropna()
        if len(both):
            sides = [over_seeds(list(both[side]), NONE) for side in both]
            effect = over_seeds(list(both["released"] - both["text"]), NONE)
            keys = {"dataset": own["dataset"].iloc[0], "metric": metric, "n_seeds": len(both)}
            yield keys | _numbers(*sides, effect)


def _gradients(entry: dict, gradients: pd.DataFrame) -> Iterator[dict]:
    """Mean cosines under both kinds of noise."""
    for metric in entry["metrics"]:
        sides = [mean_cosine(gradients, entry[side], metric) for side in ("text", "released")]
        if all(sides):
            before, after = sides
            keys = {"dataset": gradients["dataset"].iloc[0], "metric": metric}
            keys["n_seeds"] = gradients["seed"].nunique()
            yield keys | _numbers(before, after, difference(after, before))


SIDES = {"as in the text": "text", "as released": "released", "effect": "effect"}


def grid(table: pd.DataFrame) -> pd.DataFrame:
    """The table that people read; empty of a study without published code."""
    rows = []
    for row in table.to_dict("records"):
        metric = NAMES.get(row["metric"], row["metric"])
        unit = f", {row['unit']}" if isinstance(row["unit"], str) and row["unit"] else ""
        measured = pd.isna(row["reason"])
        sides = {title: _text(row, side) if measured else "" for title, side in SIDES.items()}
        where = f"{metric}{unit}, {row['dataset']}" if measured else "—"
        rows.append(
            {"no.": row["number"], "difference": row["difference"], "measured": where}
            | sides
            | {"so": row["says"] if measured else row["reason"]}
        )
    return pd.DataFrame(rows, columns=["no.", "difference", "measured", *SIDES, "so"])


def _text(row: dict, side: str) -> str:
    sign = "+" if side == "effect" else ""
    numbers = (row[side], row[f"{side}_low"], row[f"{side}_high"])
    value, low, high = (number_text(n, row["metric"], sign) for n in numbers)
    return f"{value} [{low}, {high}]" if low else value


def markdown(table: pd.DataFrame, tier: str) -> str:
    """The audit as Markdown."""
    rows = true_minus(grid(table).to_markdown(index=False, disable_numparse=True))
    return "\n\n".join([f"## {TITLE}", f"Tier {tier}.", rows, *NOTES]) + "\n"


def data(table: pd.DataFrame, tier: str) -> str:
    """The audit as JSON, for the report."""
    rows = records(grid(table), text=("difference", "measured", "so"))
    return content(TITLE, [f"Tier {tier}.", *NOTES], [rows])


FORMATS = {"md": markdown, "json": data}
