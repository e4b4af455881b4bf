"""How long clean training takes to bring a model back that was trained with noise (elasticity),
beside how long it takes from the beginning."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from noiselab.answers.layouts import NOISES
from noiselab.answers.tables import panel, tidy
from noiselab.families.descriptor import INIT
from noiselab.measures.scores import NONE, UNITS
from noiselab.measures.statistics import over_seeds
from noiselab.run import Run


class Score(NamedTuple):
    """A score of learning curves, and when it counts as reached."""

    name: str
    more: bool  # whether more is better
    margin: float  # what may be missing of the score that training from the beginning ends with
    unit: str


SCORES = {
    "classifier": Score("test_accuracy", more=True, margin=1.0, unit="points"),
    "language_model": Score("validation_nll", more=False, margin=0.05, unit="nats/token"),
}
SCRATCH = "from the beginning"
COURSE = ["family", "dataset", "start", "seed", "place", "scratch_steps", "steps"]
BLOCKS = ("recovery_steps", "recovery_share", "recovered_score")


def recoveries_table(runs: Iterable[Run], histories: Iterable[list[dict]]) -> pd.DataFrame:
    """A row per data set and kind of noise that the weights come from, a block per measure.

    runs: all trained with clean targets by one recipe; those with `init` begin with the weights of
    another run of the same seed. histories: rows of history.jsonl of each. recovery_steps: of
    training until the score is that of training from the beginning but for a margin, at its first
    evaluation there; recovery_share: these over those from the beginning; recovered_score: in the
    end, minus that from the beginning. Of a seed that never comes there is a reason instead.
    """
    rows = pd.DataFrame(_rows(runs, histories))
    groups = rows.groupby(["family", "dataset", "start"], sort=False)
    cells = [_cell(block, *named) for block in BLOCKS for named in groups]
    return tidy(cells)


def recovery_courses(runs: Iterable[Run], histories: Iterable[list[dict]]) -> pd.DataFrame:
    """Steps until a score is reached, beside those that training from the beginning takes until the
    same score: a row per training that begins with weights, and score.

    runs, histories: as of recoveries_table. The scores are those that the training from the
    beginning of the same seed shows on its way (the best so far), up to that of the table, with
    which each course ends. Columns: family, dataset, start, seed, place (number of the score, which
    trainings of one recipe share), scratch_steps, steps (not a number: never reached).
    """
    rows = []
    for run, own, first in _pairs(runs, histories):
        if INIT not in run.parents:
            continue
        more = SCORES[run.family].more
        best = (np.maximum if more else np.minimum).accumulate(first[:, 1])
        scores = (np.minimum if more else np.maximum)(best, _wanted(run, first))
        keys = {key: run[key] for key in ("family", "dataset", "seed")} | {"start": _start(run)}
        for place, score in enumerate(scores):
            usual, steps = (_reached(curve, score, more) for curve in (first, own))
            rows.append(keys | {"place": place, "scratch_steps": usual, "steps": steps})
    return pd.DataFrame(rows, columns=COURSE)


def _pairs(runs: Iterable[Run], histories: Iterable[list[dict]]) -> list[tuple]:
    """(run, its curve, that of the same seed from the beginning) of each run."""
    curves = {run.run_id: (run, _curve(run, h)) for run, h in zip(runs, histories, strict=True)}
    scratch = {
        (run.dataset, run.seed): own for run, own in curves.values() if INIT not in run.parents
    }
    return [(run, own, scratch[run.dataset, run.seed]) for run, own in curves.values()]


def _wanted(run: Run, first: np.ndarray) -> float:
    """The score that counts as back, from the curve of training from the beginning."""
    score = SCORES[run.family]
    return first[-1, 1] - score.margin * (1 if score.more else -1)


def _rows(runs: Iterable[Run], histories: Iterable[list[dict]]) -> list[dict]:
    """A row per run with its measures; not a number where the score is not reached."""
    rows = []
    for run, own, first in _pairs(runs, histories):
        score, wanted = SCORES[run.family], _wanted(run, first)
        steps, usual = (_reached(curve, wanted, score.more) for curve in (own, first))
        better = own[-1, 1] - first[-1, 1]
        measures = (steps, 100 * steps / usual, better if score.more else -better)
        keys = {key: run[key] for key in ("family", "dataset", "stands_in_for", "protocol", "seed")}
        rows.append(keys | {"start": _start(run)} | dict(zip(BLOCKS, measures, strict=True)))
    return rows


def _curve(run: Run, history: list[dict]) -> np.ndarray:
    """Steps and scores of a run's evaluations, float64 [n, 2]."""
    name = SCORES[run.family].name
    return np.array([(row["step"], row[name]) for row in history if name in row], np.float64)


def _reached(curve: np.ndarray, wanted: float, more: bool) -> float:
    """Steps at the first evaluation with a score that is wanted; not a number: there is none."""
    there = curve[:, 1] >= wanted if more else curve[:, 1] <= wanted
    return float(curve[there.argmax(), 0]) if there.any() else np.nan


def _start(run: Run) -> str:
    """What noise the weights that a run begins with were trained with."""
    if INIT not in run.parents:
        return SCRATCH
    noise = run.parents[INIT].rpartition("/")[2].partition("-")[0]
    if noise == "clean":
        return "after training without noise"
    return f"after training with {NOISES.get(noise, noise)} noise"


def _cell(block: str, named: tuple, rows: pd.DataFrame) -> dict:
    family, dataset, start = named
    first, values = rows.iloc[0], rows[block]
    cell = {"family": family, "dataset": dataset, "row": start, "metric": block}
    cell |= {key: first[key] for key in ("stands_in_for", "protocol")}
    unit = UNITS.get(block, SCORES[family].unit)
    cell |= {"unit": unit, "panel": panel(block, unit), "n_seeds": len(values)}
    if values.isna().any():
        missing = int(values.isna().sum())
        return cell | {"reason": f"not reached by {missing} of {len(values)} trainings"}
    estimate = over_seeds(list(values), NONE)
    return cell | {"ours": estimate.value} | estimate.ends()
