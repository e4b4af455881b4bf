"""How soon models are back: steps of clean training from the weights of another training, against
those from the beginning, until the same score."""

import pandas as pd

from noiselab.answers.figures.cells import MARGIN
from noiselab.answers.figures.drawing import (
    FLOOR,
    Axis,
    Curve,
    Drawing,
    Panel,
    batches,
    curve,
    solid,
)
from noiselab.answers.figures.vegalite import drawing, narrow, wide
from noiselab.answers.layouts import NAMES

SCRATCH = "from the beginning"
MOST = 5  # starts in a panel, beside the line of those from the beginning
EACH = 0.6  # width of a line where each training has its own


def recovery_figure(courses: pd.DataFrame) -> Drawing:
    """A panel per data set and a colour per kind of noise that the weights come from: the mean over
    trainings, and thin lines of each. Below the diagonal it takes fewer steps than from the
    beginning. A mean ends where a training never reaches the score.

    courses: of recoveries.recovery_courses.
    """
    panels, ends = [], []
    for dataset, part in courses.groupby("dataset", sort=False):
        name = NAMES.get(dataset, dataset)
        for starts in batches(list(dict.fromkeys(part["start"])), MOST):
            lines = []
            for number, start in enumerate(starts):
                own = part[part["start"] == start]
                lines += _lines(start, own, number)
                ends.append(f"{name}, {start}: {_end(own)}")
            panels.append(_panel(name, lines))
    alt = "Steps of clean training until a score, against those from the beginning, in the end: "
    return drawing(f"{alt}{'; '.join(ends)}.", panels, wide(min(2, len(panels) or 1)), narrow())


def _means(own: pd.DataFrame) -> pd.DataFrame:
    """Means over seeds of the scores that all of them reach, least first."""
    columns = ["scratch_steps", "steps"]
    means = own.groupby("place")[columns].agg(lambda steps: steps.mean(skipna=False)).dropna()
    return means.drop_duplicates()


def _lines(start: str, own: pd.DataFrame, number: int) -> list[Curve]:
    thin = solid(number, shape=None, width=EACH)
    seeds = [
        curve(start, part["scratch_steps"], part["steps"], thin, f"seed {seed}", labelled=False)
        for seed, part in own.groupby("seed")
    ]
    means = _means(own)
    kind = f"mean of {own['seed'].nunique()} trainings"
    whole = curve(start, means["scratch_steps"], means["steps"], solid(number, shape=None), kind)
    seeds = seeds if len(seeds) > 1 else []
    return [line for line in [*seeds, whole] if len(line.points)]


def _panel(name: str, lines: list[Curve]) -> Panel:
    """With the diagonal, and both axes alike."""
    points = [line.points[column] for line in lines for column in ("x", "y")]
    most = max((float(part.max()) for part in points), default=1.0)
    low, high = -MARGIN * most, (1 + MARGIN) * most
    across = Axis("steps from the beginning until a score", low, high, form="~s")
    up = Axis("steps until the same score", low, high, form="~s")
    same = curve(SCRATCH, [0, most], [0, most], FLOOR, SCRATCH)
    return Panel(name, across, up, [same, *lines] if lines else [], zoom=True)


def _end(own: pd.DataFrame) -> str:
    """The last score, which is that of the table, in words."""
    last = own[own["place"] == own["place"].max()]
    if last["steps"].isna().any():
        return f"not reached by {last['steps'].isna().sum()} of {len(last)} trainings"
    return f"{last['steps'].mean():.0f} steps against {last['scratch_steps'].mean():.0f}"
