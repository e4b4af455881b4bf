"""Scores of fine-tuned models: accuracy and gain as of probes, and the correlation of Matthews;
correlations and their gain where the task asks for a number."""

from pathlib import Path

from noiselab import reading
from noiselab.data.kinds import is_numeric
from noiselab.families.probe import score as probes
from noiselab.run import Run


def scores(run: Run, files: dict[str, Path]) -> dict[str, dict]:
    """All scores of a run: the main one of each method, its gain over the plain fit, and further
    ones. files: `chosen`, csv."""
    chosen = reading.table(files["chosen"])
    if is_numeric(run):
        found, others = probes.of_methods(run, chosen, "correlation"), ("pearson", "spearman")
    else:
        found, others = probes.scores(run, files), ("matthews",)
    for method, rows in chosen.groupby("method", sort=False):
        for name in others:
            score = probes.score(rows[f"test_{name}"], "%", int(rows["items"].iloc[0]))
            found[f"{name}_{method}"] = score | probes.about(run) | {"method": method}
    return found
