"""Scores of fine-tuned models: those of probes, and the correlation of Matthews."""

from pathlib import Path

from noiselab import reading
from noiselab.families.probe import score as probes
from noiselab.run import Run


def scores(run: Run, files: dict[str, Path]) -> dict[str, dict]:
    """All scores of a run. files: `chosen`, csv."""
    found = probes.scores(run, files)
    chosen = reading.table(files["chosen"])
    for method, rows in chosen.groupby("method", sort=False):
        score = probes.score(rows["test_matthews"], "%", int(rows["items"].iloc[0]))
        found[f"matthews_{method}"] = score | probes.about(run) | {"method": method}
    return found
