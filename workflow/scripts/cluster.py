"""Submit, look after and cancel jobs on PBS, LSF or SGE; called by Snakemake (profiles/)."""

import argparse
import sys

from noiselab.errors import run_script
from noiselab.planning import clusters
from noiselab.planning.schedulers import SCHEDULERS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    submit = verbs.add_parser("submit", help="a script of Snakemake's")
    submit.add_argument("scheduler", choices=list(SCHEDULERS))
    submit.add_argument("jobscript")
    verbs.add_parser("status", help="of a job: running, success, failed").add_argument("job")
    verbs.add_parser("cancel", help="jobs").add_argument("jobs", nargs="+")
    arguments = parser.parse_args()
    if arguments.verb == "submit":
        print(clusters.submit(arguments.scheduler, arguments.jobscript))
    elif arguments.verb == "status":
        print(_status(arguments.job))
    else:
        clusters.cancel(arguments.jobs)


def _status(job: str) -> str:
    """How a job is. Snakemake gives up all jobs where this command fails once, so no fault of the
    file system or of the scheduler may end it: the next look will tell."""
    try:
        return clusters.status(job)
    except Exception as error:
        print(f"noiselab: {job}: {error!r}", file=sys.stderr)
        return clusters.RUNNING


if __name__ == "__main__":
    run_script(main)
