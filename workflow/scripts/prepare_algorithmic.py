"""Make a data set of tokens that follow a rule."""

import argparse
from pathlib import Path

from noiselab.data import prepared
from noiselab.data.algorithmic import splits
from noiselab.errors import run_script
from noiselab.planning.specification import specification


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    spec = specification("prepare_algorithmic")
    parser.add_argument("--spec", type=spec, required=True, help="from the configuration")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    arguments = parser.parse_args()
    train, test, origin = splits(arguments.spec)
    sizes = {name: arguments.spec[name] for name in ("letters", "noised")}
    # No image: there is nothing to normalise.
    normal = {"mean": [0.0], "std": [1.0]}
    prepared.write(arguments.out, arguments.spec, train, test, origin, **sizes, **normal)


if __name__ == "__main__":
    run_script(main)
