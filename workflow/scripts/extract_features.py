"""Features of a task's items by a trained model, which is trained no further."""

import argparse
import shutil
from pathlib import Path

from noiselab import records
from noiselab.errors import run_script
from noiselab.families.probe.features import extract
from noiselab.files import save_arrays
from noiselab.run import Run
from noiselab.training import distributed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run.json of the trained model")
    parser.add_argument("--weights", type=Path, nargs="?", help="of a model that was trained here")
    parser.add_argument("--task", type=Path, required=True, help="dataset.json of the task")
    parser.add_argument("--shards", type=Path, required=True, help="folder, kept if stopped")
    parser.add_argument("--out", type=Path, required=True, help="npz")
    records.add_options(parser)
    arguments = parser.parse_args()
    run, task = Run.read(arguments.run), arguments.task.parent
    shards = arguments.shards / task.name  # other tasks may be at work beside this one
    with distributed.process_group() as device:
        arrays = extract(run, arguments.weights, task, shards, device)
        if distributed.rank() == 0:
            save_arrays(arguments.out, arrays)
            shutil.rmtree(shards)
            records.keep(arguments, arguments.out)


if __name__ == "__main__":
    run_script(main)
