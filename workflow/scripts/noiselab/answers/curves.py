"""Learning curves of runs with noise text beside those of their clean runs.

A noisy run is compared with the clean run of its seed at the same step, and where that has seen as
many clean tokens, earlier on its way (Ru et al., 2025, Figure 2b and 2c).
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from noiselab.errors import NoiselabError
from noiselab.families.descriptor import CLEAN
from noiselab.files import read_json
from noiselab.measures.metrics import CLEAN_TEXT
from noiselab.noise.mixture import exchange
from noiselab.noise.registry import corruption
from noiselab.run import Run

KEYS = ["run_id", "family", "dataset", "stands_in_for", "corruption", "resample", "budget", "seed"]
COLUMNS = [
    *KEYS,
    "share",
    "noise_tokens",
    "given_tokens",
    "step",
    "progress",
    "clean_tokens",
    "repeats",
]
COMPARED = ["same_steps", "same_tokens", "rise", "rise_same_tokens", "dilution"]
# Clean text that is scored along the training -> what the names of its columns begin with.
TEXTS = {f"{split}_nll": prefix for split, prefix in CLEAN_TEXT.items()}
COLUMNS += ["noise_nll", *TEXTS, *(prefix + name for prefix in TEXTS.values() for name in COMPARED)]
COLUMNS += ["p_clean", "p_noise", "k"]
# Where the paper takes p_n of a model that has learned no noise yet: 10,000 of 300,000 steps (B.3).
EARLY = 1 / 30


def curves(runs: Iterable[Run], histories: Iterable[list[dict]]) -> pd.DataFrame:
    """A row per run and evaluation on its way. histories: rows of history.jsonl of each run.

    share: α, or the error rate of wrong targets; noise_tokens: of the noise text, where it is drawn
    once; given_tokens: the same, where the experiment says it; repeats: how often each of its
    tokens was visited so far; same_steps, same_tokens: the clean run's NLL at this step, and at as
    many clean tokens; rise, rise_same_tokens: over these;
    dilution: same_tokens - same_steps, what fewer clean tokens alone cost the clean run;
    out_of_domain_rise and so on: the same of texts out of the domain, where a run has curves of
    them; p_clean, p_noise, k: of Proposition 1 (`proposition`). NoiselabError: a clean run is not
    among them.
    """
    found = {
        run.run_id: (run, _evaluations(rows)) for run, rows in zip(runs, histories, strict=True)
    }
    parts = []
    for run, own in found.values():
        clean = found.get(run.parents[CLEAN])
        if clean is None:
            raise NoiselabError(f"run {run.run_id}: the curve of its clean run was not given")
        parts.append(_compared(run, own, clean[1]))
    return pd.concat(parts, ignore_index=True).reindex(columns=COLUMNS)


def _evaluations(rows: list[dict]) -> pd.DataFrame:
    """The rows of a history that have been evaluated, each once."""
    table = pd.DataFrame([row for row in rows if "validation_nll" in row])
    return table.drop_duplicates("step", keep="last").reset_index(drop=True)


def _compared(run: Run, own: pd.DataFrame, clean: pd.DataFrame) -> pd.DataFrame:
    share, steps = run.error_rate, own["step"]
    tokens = steps * run.training["batch_size"] * run.model["context"]
    noise_tokens = _noise_tokens(run)
    table = own[[c for c in ("step", *TEXTS, "noise_nll") if c in own]].assign(
        **{key: run.get(key) for key in KEYS},
        share=share,
        noise_tokens=noise_tokens,
        given_tokens=run.get("noise_text", {}).get("tokens"),
        progress=steps / run.training["steps"],
        clean_tokens=(1 - share) * tokens,
        repeats=share * tokens / noise_tokens,
    )
    for column, prefix in TEXTS.items():
        if column in own and column in clean:
            table = table.assign(**_beside(table, clean, column, prefix))
    return table.assign(**proposition(table)) if "noise_nll" in table else table


def _beside(own: pd.DataFrame, clean: pd.DataFrame, column: str, prefix: str) -> dict:
    """The columns of COMPARED for the NLL of one text."""
    steps, nll = own["step"], own[column]
    same_steps, same_tokens = (_at(clean, s, column) for s in (steps, (1 - own["share"]) * steps))
    found = [same_steps, same_tokens, nll - same_steps, nll - same_tokens, same_tokens - same_steps]
    return dict(zip((prefix + name for name in COMPARED), found, strict=True))


def _at(clean: pd.DataFrame, steps: pd.Series, column: str) -> np.ndarray:
    """The clean run's NLL at these steps, between its evaluations; not a number before the first
    and after the last, but for a step that was rounded up."""
    last = clean["step"].iloc[-1]
    steps = steps.where((steps <= last) | (steps >= last + 1), last)
    return np.interp(steps, clean["step"], clean[column], left=np.nan, right=np.nan)


def _noise_tokens(run: Run) -> float:
    """How long the noise text is that comes again; not a number where there is none."""
    if "noise_text" not in run or run.resample == "fresh":
        return np.nan
    clean = read_json(Path(run.data, "dataset.json"))["train_tokens"]
    return float(corruption(run).text_tokens(clean))


def proposition(table: pd.DataFrame) -> dict[str, pd.Series]:
    """p_c of the clean run at each step, p_n of a model that has not learned the noise, and k, what
    was given up of the one for the gain of the other (B.3). table: of one run, in the order of its
    steps. k is not a number until the noise is learned better than early in training."""
    early = int((table["progress"] >= EARLY).to_numpy().argmax())
    before = table["noise_nll"].iloc[early]
    k = exchange(table["same_steps"], table["validation_nll"], before, table["noise_nll"])
    k = pd.Series(k, table.index).where(table["noise_nll"] < before)
    return {
        "p_clean": np.exp(-table["same_steps"]),
        "p_noise": pd.Series(np.exp(-before), table.index),
        "k": k,
    }
