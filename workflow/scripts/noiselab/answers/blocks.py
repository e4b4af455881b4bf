"""Tables and sentences in README and docs that are made from the results of a tier.

Each takes the folder docs/results, the folder of a tier in it, and what else the block's name says.
"""

from pathlib import Path

import pandas as pd

from noiselab import reading
from noiselab.answers import audit, provenance, verdicts
from noiselab.answers.layouts import NAMES, NOISES, number_text, true_minus
from noiselab.errors import NoiselabError
from noiselab.planning import config
from noiselab.planning.hints import hint


def audit_block(results: Path, tier: str) -> str:
    """What the differences between text and code do: the rows of audit.csv."""
    table = _read(results, tier, "audit", "number", "metric", "n_seeds")
    grid = audit.grid(table).drop(columns="difference")
    seeds = table["n_seeds"].map("{:g}".format, na_action="ignore").fillna("")
    grid.insert(len(grid.columns) - 1, "seeds", seeds.replace("1", "one training").to_list())
    return _markdown(grid.rename(columns={"effect": "effect [95 % CI]"}))


def verdicts_block(results: Path, tier: str, *names: str) -> str:
    """Claims of these names, or all that were run, with the number of the others: the paper's
    number, and ours with the verdict on what was run, as measured and above the floor."""
    table = _read(results, tier, "claims", "claim", "where", "value", "verdict_here")
    table = table.astype(object).where(table.notna(), None)
    told = config.published()["claims"]
    rows = []
    run = table[table["where"].notna()]["claim"].unique()
    for name in names or run:
        own = table[table["claim"] == name]
        if name not in told or len(own) == 0:
            raise NoiselabError(f"no claim {name} ({hint(name, table['claim'])})")
        tests = own.groupby("where", sort=False, dropna=False)
        rows += [_claim(test.to_dict("records"), told[name]["claim"]) for _, test in tests]
    others = 0 if names else table["claim"].nunique() - len(run)
    rest = f"\n\nFurther claims, not run here: {others}." if others else ""
    return _markdown(pd.DataFrame(rows)) + rest


def _claim(rulers: list[dict], sentence: str) -> dict:
    """A row of the table. rulers: of one test, the claim's own first."""
    main, *others = rulers
    paper = verdicts.number(main["published"])
    above = [r for r in others if r["verdict_here"] and str(r["ruler"]).endswith("above the floor")]
    return {
        "claim": sentence,
        "paper": f"{paper} {main['unit']}" if paper else "",
        "measured": _told(main) if main["where"] else "not run",
        "above the floor": _told(above[0]) if above else "",
        "run": main["where"] or "",
    }


def _told(row: dict) -> str:
    """A number with its interval, and the verdict by it."""
    return f"{verdicts.estimate(row, row['unit'])}: {row['verdict_here']}"


def run_block(results: Path, tier: str) -> str:
    """Revisions, seeds, trainings, time and machines, in a sentence."""
    return provenance.sentence(_read(results, tier, "provenance", *provenance.COLUMNS))


def competence_block(results: Path, tier: str) -> str:
    """What the clean models have learned, gate by gate."""
    columns = ("experiment", "dataset", "gate", "value", "needed", "passed")
    table = _read(results, tier, "competence", *columns)
    table["value"] = table["value"].map(verdicts.number)
    words = table["gate"].map({"bigram": "below"}).fillna("at least")
    table["needed"] = words + " " + table["needed"].map(verdicts.number)
    table["passed"] = table["passed"].map({True: "yes", False: "no"})
    return _markdown(table[list(columns)])


LOSSES = {"accuracy": "accuracy_drop", "consistency": "consistency_drop", "nll": "nll_rise"}
ABOVE = "lost above the floor [95 % CI]"


def losses_block(results: Path, tier: str, *runs: str) -> str:
    """What noise costs: the score, what of it is lost, the floor of that and what is above it.
    runs: their ids without seeds; the rows are in this order."""
    table = _read(results, tier, "cells", "run", "metric", "ours", "floor", "excess")
    rows = []
    for run in runs:
        chosen = table[table["run"] == run]
        for metric, loss in LOSSES.items():
            parts = [chosen[chosen["metric"] == name].set_index("run") for name in (metric, loss)]
            rows += [_lost(parts[0].loc[name], lost) for name, lost in parts[1].iterrows()]
    if not rows:
        raise NoiselabError(f"{tier}: no run {', '.join(runs)}")
    return _markdown(pd.DataFrame(rows))


def _lost(score: pd.Series, loss: pd.Series) -> dict:
    """A row of the table: cells of a score and of its loss, which is positive where it is one."""
    metric, noisy = loss["metric"], loss["corruption"] != "none"
    value, low, high = (
        number_text(loss[name], metric) for name in ("excess", "excess_low", "excess_high")
    )
    noise = NOISES.get(loss["corruption"], loss["corruption"])
    return {
        "data": loss["dataset"],
        "noise": f"{noise}, r = {loss['noise_ratio']:g}" if noisy else "none",
        NAMES[score["metric"]]: f"{number_text(score['ours'], score['metric'])} {score['unit']}",
        "lost": f"{number_text(loss['ours'], metric)} {loss['unit']}" if noisy else "",
        "floor of the loss": number_text(loss["floor"], metric) if noisy else "",
        ABOVE: f"{value} [{low}, {high}]" if noisy else "",
        "trainings": f"{loss['n_seeds']:g}",
    }


def _read(results: Path, tier: str, name: str, *columns: str) -> pd.DataFrame:
    path = results / tier / f"{name}.csv"
    if not path.is_file():
        raise NoiselabError(f"docs/results has no {tier}/{name}.csv")
    return reading.table(path, *columns)


def _markdown(table: pd.DataFrame) -> str:
    """A table of Markdown, whose cells have true minus signs."""
    texts = table.fillna("").map(lambda cell: true_minus(str(cell).replace("|", r"\|")))
    rows = [texts.columns, ["---"] * texts.shape[1], *texts.to_numpy()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


BLOCKS = {
    "audit": audit_block,
    "verdicts": verdicts_block,
    "run": run_block,
    "competence": competence_block,
    "losses": losses_block,
}
