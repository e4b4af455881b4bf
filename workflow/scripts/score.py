"""Score one run of any family on clean data, with the floors from the clean run of its seed."""

import argparse
from importlib import import_module
from pathlib import Path

from noiselab.errors import NoiselabError, run_script
from noiselab.measures.metrics import explained
from noiselab.noise.registry import corruption
from noiselab.planning.provenance import write_metrics
from noiselab.run import Run

FILE = """NAME=PATH of what the family's scoring reads beside the run: its own files and those of
the runs that it is compared with"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run.json")
    parser.add_argument("--summary", type=Path, required=True, help="of the training")
    parser.add_argument("--files", type=named, nargs="*", default=[], help=FILE)
    parser.add_argument("--metrics", type=Path, required=True)
    arguments = parser.parse_args()
    run = Run.read(arguments.run)
    family = import_module(f"noiselab.families.{run.family}.score")
    metrics = explained(family.scores(run, dict(arguments.files)), corruption(run))
    write_metrics(arguments.metrics, run, arguments.summary, metrics)


def named(text: str) -> tuple[str, Path]:
    """A name and a path."""
    name, equals, path = text.partition("=")
    if not equals:
        raise NoiselabError(f"--files {text}: not NAME=PATH")
    return name, Path(path)


if __name__ == "__main__":
    run_script(main)
