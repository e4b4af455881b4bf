"""Pack all of a result that can be published into one archive."""

import argparse
from pathlib import Path

from noiselab.answers import bundle
from noiselab.errors import run_script
from noiselab.files import read_json
from noiselab.planning import project
from noiselab.planning.config import validate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="config.json of the results")
    parser.add_argument("--results", type=Path, required=True, help="folder of the tier")
    parser.add_argument("--out", type=Path, required=True, help="zip")
    arguments = parser.parse_args()
    config = validate(read_json(arguments.config))
    bundle.write(project.plan(config, str(arguments.results)), arguments.out)


if __name__ == "__main__":
    run_script(main)
