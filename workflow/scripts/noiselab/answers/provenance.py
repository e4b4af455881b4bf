"""Which trainings the results of a tier come from."""

import pandas as pd

COLUMNS = ("revision", "trainings", "seeds", "minutes", "devices", "datasets")
FACTS = ("threads", "precision")  # of later revisions
LISTS = {"seeds": "seed", "devices": "device", "datasets": "dataset"}  # column -> of a run


def table(runs: pd.DataFrame) -> pd.DataFrame:
    """A row per code revision. runs: of collect_metrics, a row per run; minutes are of training."""
    rows = []
    for revision, own in runs.groupby("revision"):
        lists = {key: _list(own[column]) for key, column in LISTS.items()}
        lists |= {key: _list(own[key].dropna()) for key in FACTS if key in own}
        minutes = own["seconds"].sum() / 60
        rows.append({"revision": revision, "trainings": len(own), "minutes": minutes} | lists)
    return pd.DataFrame(rows, columns=[*COLUMNS, *FACTS])


def _list(values: pd.Series) -> str:
    return ", ".join(str(value) for value in sorted(values.unique()))


def sentence(made: pd.DataFrame) -> str:
    """What `table` says, in a sentence. made: its rows, as they were read."""
    seeds = {seed for text in made["seeds"].astype(str) for seed in text.split(", ")}
    devices = dict.fromkeys(name for text in made["devices"] for name in text.split(", "))
    trainings, minutes = int(made["trainings"].sum()), made["minutes"].sum()
    parts = [
        f"{trainings:,} {_word('scored training', trainings)}",
        f"{minutes:,.0f} minutes in all",
    ]
    parts.append(f"{_word('seed', len(seeds))} {', '.join(sorted(seeds, key=int))}")
    parts.append(f"on {', '.join(devices)}")
    revisions = ", ".join(f"`{revision}`" for revision in made["revision"])
    return f"Code {_word('revision', len(made))} {revisions}: {', '.join(parts)}."


def _word(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"
