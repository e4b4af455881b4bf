"""Say in one table what a plan lacks here, before it is run; exit code 1 if it lacks anything."""

import argparse
import json
import shutil
import sys
from pathlib import Path

from noiselab.errors import NoiselabError, run_script
from noiselab.files import read_json
from noiselab.planning.config import validate
from noiselab.planning.preflight.rows import MISSING, table

PLAN = """JSON file, or -: config, the merged configuration; jobs, names of those that are to run,
like their benchmark files, or null: all that is planned"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plan", required=True, help=PLAN)
    parser.add_argument("--results", type=Path, required=True, help="folder of the tier")
    parser.add_argument("--executor", default="local", help="Snakemake's")
    parser.add_argument("--gpus", type=int, help="that Snakemake may hand out; default: any number")
    parser.add_argument("--at-once", type=int, default=1, help="jobs at the same time")
    parser.add_argument("--conda", action="store_true", help="rules run in conda environments")
    arguments = parser.parse_args()
    try:
        from noiselab.planning import project
        from noiselab.planning.preflight import checks
    except ImportError as error:
        raise NoiselabError(f"preflight: {error}: make setup") from error
    asked = json.load(sys.stdin) if arguments.plan == "-" else read_json(arguments.plan)
    graph = project.plan(validate(asked["config"]), str(arguments.results)).graph
    call = checks.Call(arguments.executor, arguments.gpus, arguments.at_once, arguments.conda)
    rows = checks.check(graph, asked["jobs"], call)
    print(table(rows, shutil.get_terminal_size((140, 24)).columns))
    if missing := [row.check for row in rows if row.state == MISSING]:
        sys.exit(f"noiselab: preflight: missing {', '.join(missing)}")


if __name__ == "__main__":
    run_script(main)
