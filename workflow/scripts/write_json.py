"""Write a JSON value given on the command line to a file."""

import argparse
import json

from noiselab.errors import run_script
from noiselab.files import write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--content", type=json.loads, required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    write_json(arguments.out, arguments.content)


if __name__ == "__main__":
    run_script(main)
