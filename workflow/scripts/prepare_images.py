"""Turn an image data set into a folder of arrays."""

import argparse
from pathlib import Path

from noiselab.data import prepared, sources
from noiselab.data.cifar import cifar
from noiselab.data.embedded import digits, glyphs
from noiselab.data.images import arrays
from noiselab.data.kinds import KINDS
from noiselab.errors import run_script
from noiselab.planning.specification import specification


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--spec", type=specification("prepare_images"), required=True, help="from the configuration"
    )
    parser.add_argument("--source", type=Path, help="folder of a real data set")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    arguments = parser.parse_args()
    spec = arguments.spec
    if KINDS[spec["kind"]].download and arguments.source is None:
        parser.error(f"kind {spec['kind']} needs --source")
    more: dict = {}
    if spec["kind"] == "images":
        spec, train, test, more = arrays(spec, arguments.source)
        origin = more.pop("origin")
    elif spec["kind"] == "cifar":
        train, test, origin = cifar(spec, arguments.source)
    else:
        train, test, origin = {"digits": digits, "glyphs": glyphs}[spec["kind"]](spec)
    prepared.write(arguments.out, spec, train, test, origin, **more)
    sources.keep(arguments.spec, arguments.source, arguments.out)


if __name__ == "__main__":
    run_script(main)
