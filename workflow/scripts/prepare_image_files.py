"""Turn a folder of image files, or parquet files of them, into a prepared data set."""

import argparse
import os
from pathlib import Path

from noiselab.data import sources
from noiselab.data.image_files import prepare
from noiselab.data.images.encoding import encode
from noiselab.errors import run_script
from noiselab.planning.specification import specification


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--spec",
        type=specification("prepare_image_files"),
        required=True,
        help="from the configuration",
    )
    parser.add_argument("--source", type=Path, required=True, help="folder of the data set")
    threads = int(os.environ.get("THREADS", 1))  # of the job
    parser.add_argument("--threads", type=int, default=threads, help="processes")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    arguments = parser.parse_args()
    write = encode if arguments.spec["kind"] == "encoded_images" else prepare
    write(arguments.spec, arguments.source, arguments.threads, arguments.out)
    sources.keep(arguments.spec, arguments.source, arguments.out)


if __name__ == "__main__":
    run_script(main)
