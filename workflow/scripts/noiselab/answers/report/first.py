"""The first screen: the question, one sentence of answer, a bar per family, all from the spectrum.

Where a tier has no spectrum, or nothing yet, or settings are somebody's own, the answer says what
there is.
"""

import math

import pandas as pd

from noiselab import reading
from noiselab.answers.layouts import NAMES, true_minus
from noiselab.answers.report import tables
from noiselab.answers.report.words import tidy
from noiselab.families import FAMILIES

QUESTION = (
    "How much does a model lose when part of its training targets is wrong, and how much of that "
    "loss was unavoidable?"
)
SPECTRUM = "spectrum"  # the table that bars are drawn from
ROOM = 1.24  # of the longest bar, so that its number stands beside it
SHARES = {0.5: "half", 1 / 3: "a third", 0.25: "a quarter"}  # of the targets
STEPS = (1, 2, 5)  # of an axis, times a power of ten
MOST = 6  # ticks of an axis
LOSSES = ("above", "loss")  # kinds of columns
MOST_SHOWN = 4  # tables where there is no spectrum
TOO_WEAK = "† model too weak to tell"
NO_NUMBER = "too weak to tell: what they lose says nothing about noise."


def question(studies: list[dict]) -> str:
    """What the page answers: the question of its only study, or that of all."""
    asked = [study["question"] for study in studies]
    return asked[0] if len(asked) == 1 and asked[0] else QUESTION


def spectrum(path: str | None) -> dict | None:
    """Bars and answer of a spectrum's tidy table; None: there are no losses in it."""
    if path is None:
        return None
    table = reading.table(path, "family", "dataset", "metric", "noise_ratio", "ours", "floor")
    rows = common(table.dropna(subset=["ours", "noise_ratio"]))
    if len(rows) == 0:
        return None
    bars = [_bar(family, own) for family, own in rows.groupby("family", sort=False)]
    ends = [end for bar in bars for end in (bar["total"], bar["high"], *_values(bar["others"]))]
    axis = _axis(max([*ends, 1e-9]))
    error_rate = rows["error_rate"].iloc[0]
    return {
        "bars": [bar | _geometry(bar, axis["length"]) for bar in bars],
        "ticks": axis["ticks"],
        "noise_ratio": f"{rows['noise_ratio'].iloc[0]:g}",
        "answer": answer(bars, error_rate),
    }


def common(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows at the largest noise ratio that most families have, all of them if there is one."""
    noisy = rows[rows["noise_ratio"] > 0]
    families = noisy.groupby("noise_ratio")["family"].nunique()
    if len(families) == 0:
        return noisy
    return noisy[noisy["noise_ratio"] == families[families == families.max()].index.max()]


def share(rate: float) -> str:
    """An error rate in words."""
    named = [word for value, word in SHARES.items() if math.isclose(rate, value, rel_tol=1e-3)]
    return named[0] if named else f"{100 * rate:.3g} %"


def _bar(family: str, rows: pd.DataFrame) -> dict:
    """The bar of a family: of its block that rests on most trainings of models that learned, of
    several the one that loses most; the others are marks beside it."""
    keys = ["weak", "n_seeds", "ours"]
    order = rows.assign(weak=rows["competence"].notna())
    order = order.sort_values(keys, ascending=[True, False, False], kind="stable")
    row, others = order.iloc[0], order.iloc[1:]
    floor = None if pd.isna(row["floor"]) else float(row["floor"])
    known = floor is not None
    ends = ("excess_low", "excess_high") if known else ("ci_low", "ci_high")
    low, high = (float(row[end]) for end in ends)
    shift = floor if known else 0.0
    return {
        "family": family,
        "name": FAMILIES[family].title if family in FAMILIES else family.replace("_", " "),
        "dataset": _block(row),
        "trainings": "one training" if row["n_seeds"] == 1 else f"{row['n_seeds']:.0f} trainings",
        "total": float(row["ours"]),
        "floor": floor,
        "above": float(row["ours"]) - shift,
        "interval": None if math.isnan(low) else (low, high),
        "low": row["ours"] if math.isnan(low) else low + shift,
        "high": row["ours"] if math.isnan(low) else high + shift,
        "weak": bool(pd.notna(row["competence"])),
        "others": [
            {"name": _block(other), "value": float(other["ours"]), "weak": bool(other["weak"])}
            for _, other in others.iterrows()
        ],
    }


def _values(others: list[dict]) -> list[float]:
    return [other["value"] for other in others]


def _block(row: pd.Series) -> str:
    """Data set of a row, and what else its block says, such as the length of training."""
    name = NAMES.get(row["dataset"], row["dataset"])
    head = str(row["panel"]).rpartition(":")[0]
    return ", ".join([name, *head.split(", ")[1:]])


def _axis(largest: float) -> dict:
    """Length of an axis from 0, and round numbers on it with their places in per cent."""
    power = 10 ** math.floor(math.log10(largest))
    steps = [step * scale for scale in (power / 10, power) for step in STEPS]
    step = next(s for s in steps if largest / s <= MOST)
    length = largest * ROOM
    ticks = [step * n for n in range(int(length / step) + 1)]
    return {"length": length, "ticks": [{"text": f"{t:g}", "at": 100 * t / length} for t in ticks]}


def _geometry(bar: dict, length: float) -> dict:
    """Places in per cent of the axis, and the texts of a bar."""
    floor, total = max(bar["floor"] or 0.0, 0.0), max(bar["total"], 0.0)
    low, high = (max(bar[end], 0.0) for end in ("low", "high"))
    places = {"floor": min(floor, total), "start": floor, "above": max(total - floor, 0.0)}
    places |= {"low": low, "span": high - low, "end": max(total, high)}
    kept = {f"{key}_at": round(100 * value / length, 3) for key, value in places.items()}
    marks = [round(100 * max(value, 0) / length, 3) for value in _values(bar["others"])]
    texts = {"total_text": _percent(bar["total"]), "above_text": _percent(bar["above"])}
    texts["others_text"] = [f"{o['name']}: {_percent(o['value'])}" for o in bar["others"]]
    texts["floor_text"] = "" if bar["floor"] is None else _percent(bar["floor"])
    ends = bar["interval"]
    texts["interval_text"] = f"[{_number(ends[0])}, {_number(ends[1])}]" if ends else ""
    lowest = min(bar["total"], bar["low"], *_values(bar["others"]))
    return kept | {"marks": marks, "cut": lowest < 0} | texts


def _number(value: float) -> str:
    return true_minus(f"{value:z.1f}")


def _percent(value: float) -> str:
    return f"{_number(value)} %"


def answer(bars: list[dict], error_rate: float) -> str:
    """One sentence: the least and the most that is lost, over all data, and which share of each
    family's loss was unavoidable. Models too weak to lose anything that would tell are left out."""
    when = f"When {share(error_rate)} of the training targets are wrong, "
    strong = [bar for bar in bars if not bar["weak"]]
    if not strong:
        return f"{when}these models are {NO_NUMBER}"
    known = [bar for bar in strong if bar["floor"] is not None]
    text = f"{when}{_range(strong)} of the clean score"
    if not known:
        return f"{text}; how much of it was unavoidable is not known."
    shares: dict[str, list[str]] = {}
    for bar in sorted(known, key=_unavoidable, reverse=True):
        shares.setdefault(f"{100 * _unavoidable(bar):.0f} %", []).append(_plural(bar))
    parts = [
        f"{'nothing' if part == '0 %' else part} for {_listed(of)}" for part, of in shares.items()
    ]
    first = parts[0].replace("nothing for", "nothing of that loss for", 1)
    parts[0] = first.replace(" % for", " % of that loss for", 1)
    return tidy(f"{text}; unavoidable was {_listed(parts)}.")


def _range(bars: list[dict]) -> str:
    """The least and the most that is lost, with who loses it on what."""
    lost = [(bar["total"], bar, bar["dataset"]) for bar in bars]
    others = [(bar, other) for bar in bars for other in bar["others"] if not other["weak"]]
    lost += [(other["value"], bar, other["name"]) for bar, other in others]
    ends = [pick(lost, key=lambda one: one[0]) for pick in (min, max)]
    texts = [f"{_percent(value)} ({_plural(bar)} on {name})" for value, bar, name in ends]
    return f"models lose {' to '.join(dict.fromkeys(texts))}"


def _unavoidable(bar: dict) -> float:
    """Share of a family's loss that is the floor."""
    lost = max(bar["total"], bar["floor"])
    return max(bar["floor"], 0.0) / lost if lost > 0 else 0.0


def _listed(texts: list[str]) -> str:
    *most, last = texts
    return f"{', '.join(most)} and {last}" if most else last


def _plural(bar: dict) -> str:
    name = bar["name"][0].lower() + bar["name"][1:]
    return f"{name.replace(' ', '-')} models" if name.startswith("sequence") else name


def without_spectrum(studies: list[dict], claims: bool, trainings: int, own: bool) -> str:
    """What there is to say where no spectrum was made: of settings of somebody's own, first what
    their models lose. claims: whether there are verdicts."""
    if trainings == 0:
        return "Nothing has been trained yet: there is no answer."
    found = measured(studies)
    made = f"{_counted(trainings, 'training')} in {_counted(len(found), 'table')}"
    whose = "settings of your own, " if own else ""
    judged = ", and verdicts on claims" if claims else ""
    told = f"This page shows {whose}{made}{judged}."
    if own and found:
        return f"{_own_loss(found[0])} {told}"
    if not found or any(_answers(study) for study in studies):
        return told
    return f"{told} The last row of each:"


def _own_loss(entry: dict) -> str:
    """What the models of a table lose at the most noise, in a sentence; no number of models that
    are too weak."""
    panel, row = _last_measured(entry)
    if _is_weak(row):
        return f"Your own models at {row['label']}, {panel['title']}, are {NO_NUMBER}"
    cell = next((c for c in row["cells"] if c["kind"] in LOSSES and c["text"] != "—"), None)
    cell = cell or next(c for c in row["cells"] if tables.is_measured(c) and not c["mark"])
    number = " ".join(filter(None, (cell["text"], cell["interval"])))
    return tidy(f"Your own models at {row['label']}, {panel['title']}: {cell['column']} {number}.")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def measured(studies: list[dict]) -> list[dict]:
    """The tables with numbers of ours, in the order of the page."""
    families = [family for study in studies for family in study["families"]]
    entries = [entry for family in families for entry in family["entries"]]
    return [entry for entry in entries if entry["kind"] == "table" and _last_measured(entry)]


def highlights(studies: list[dict], spectrum: bool) -> list[dict]:
    """What the studies say that the bars leave out: the rows that a study names as its answers,
    or the last rows of its first tables where none of these was measured. Of one among several
    studies a single line."""
    told = [study for study in studies if not (spectrum and _draws_bars(study))]
    if len(studies) == 1:
        return [line for study in told for line in _answers(study) or _table_lines(study)]
    return [line for study in told for line in _answers(study)[:1] or _study_line(study)]


def _answers(study: dict) -> list[dict]:
    """The rows that a study names, each below its question, as far as they were measured."""
    tables_by_name = {entry["id"]: entry for entry in measured([study])}
    lines = []
    for one in study.get("answer", []):
        rows = _measured_rows(tables_by_name.get(one["table"], {"panels": []}))
        texts = [_row(panel, row) for panel, row in rows if row["label"] == one["row"]]
        lines += [
            {"href": f"#{one['table']}", "title": one["asks"], "text": text} for text in texts[:1]
        ]
    return lines


def _table_lines(study: dict) -> list[dict]:
    shown = measured([study])[:MOST_SHOWN]
    return [{"href": f"#{e['id']}", "title": e["title"], "text": _last_row(e)} for e in shown]


def _draws_bars(study: dict) -> bool:
    return SPECTRUM in study["artefacts"]


def _study_line(study: dict) -> list[dict]:
    """A study by its first table, in its own order; none where no table has numbers of ours."""
    order = study["artefacts"].index
    entry = min(measured([study]), key=lambda entry: order(entry["id"]), default=None)
    if entry is None:
        return []
    text = f"{entry['title']}. {_last_row(entry)}"
    return [{"href": f"#{study['id']}", "title": study["title"], "text": text}]


def _measured_rows(entry: dict) -> list[tuple[dict, dict]]:
    """Panels and rows with a number of ours."""
    rows = [(panel, row) for panel in entry["panels"] for row in panel["rows"]]
    return [(p, row) for p, row in rows if any(tables.is_measured(c) for c in row["cells"])]


def _last_measured(entry: dict) -> tuple[dict, dict] | None:
    """The first panel with numbers of ours, and its last row with one; None: there are none."""
    rows = _measured_rows(entry)
    return next(((p, row) for p, row in reversed(rows) if p is rows[0][0]), None)


def _last_row(entry: dict) -> str:
    return _row(*_last_measured(entry))


def _row(panel: dict, row: dict) -> str:
    """A row of a table in words."""
    cells = [cell for cell in row["cells"] if cell["text"] and cell["kind"] != "paper"]
    told = [TOO_WEAK] if _is_weak(row) else [_told(cell) for cell in cells]
    title = panel["title"]  # of columns of several kinds it says no more than whose they are
    named = [row["label"]] if title.startswith("ours") else [title, row["label"]]
    return f"{', '.join(filter(None, named))}: {', '.join(told)}"


def _is_weak(row: dict) -> bool:
    """Whether all that was measured for a row is of models too weak to conclude from."""
    measured = [cell for cell in row["cells"] if tables.is_measured(cell)]
    return bool(measured) and all(cell["mark"] for cell in measured)


def _told(cell: dict) -> str:
    """A cell's column, number and interval; where there is no number, what stands in its place,
    such as a bound, and where the model is too weak, that."""
    number = cell["note"] or cell["text"] if cell["text"] == "—" else cell["text"]
    found = (TOO_WEAK,) if cell["mark"] else (number, cell["interval"])
    return " ".join(filter(None, (cell["column"], *found)))
