"""Write which training targets of one run are corrupted, and to what, as a parquet file."""

import argparse
from pathlib import Path

from noiselab.errors import run_script
from noiselab.measures import masks
from noiselab.run import Run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run.json")
    parser.add_argument("--limit", type=int, required=True, help="targets, of noise drawn anew")
    parser.add_argument("--out", type=Path, required=True, help="parquet")
    arguments = parser.parse_args()
    masks.write(Run.read(arguments.run), arguments.limit, arguments.out)


if __name__ == "__main__":
    run_script(main)
