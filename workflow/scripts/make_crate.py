"""Describe a finished tier as an RO-Crate: how each file was made. Copies the code beside it."""

import argparse
import shutil
from pathlib import Path

from noiselab.answers.crate import Crate
from noiselab.errors import run_script
from noiselab.files import ROOT, read_json, write_json
from noiselab.planning import code, project
from noiselab.planning.config import validate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="config.json of the results")
    parser.add_argument("--results", type=Path, required=True, help="folder of the tier")
    parser.add_argument("--code", type=Path, required=True, help="folder for the copy of the code")
    parser.add_argument("--out", type=Path, required=True, help="ro-crate-metadata.json")
    arguments = parser.parse_args()
    planned = project.plan(validate(read_json(arguments.config)), str(arguments.results))
    for file in code.repository():
        target = arguments.code / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    write_json(arguments.out, Crate(planned, planned.graph.places.answers).content())


if __name__ == "__main__":
    run_script(main)
