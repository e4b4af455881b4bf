"""What a stage of fits says of itself: training.json."""

from pathlib import Path

from noiselab.files import digest, read_json
from noiselab.run import Run


def summary(run: Run, items: dict[str, int], fits: int, seconds: float) -> dict:
    """What was fitted, and from what. items: of each split."""
    data = digest(read_json(Path(run.data, "dataset.json")))
    return {
        "digests": {"run": digest(run.content()), "data": data},
        "measured_error_rate": 0.0,  # of a task, all labels are right
        "steps": run.training["steps"],
        "examples": run.epochs * items["train"] * fits,
        "seconds": seconds,
        "examples_per_second": None,  # of a grid, they are no speed of one training
        "diverged_at": None,
        "processes": 1,
        "fits": fits,
        **{f"{split}_items": count for split, count in items.items()},
    }
