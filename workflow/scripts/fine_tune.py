"""Fine-tune a language model on a task: all settings of all methods with all seeds."""

import argparse
import shutil
import time
from pathlib import Path

import numpy as np
import torch

from noiselab.data import labelled_texts
from noiselab.errors import run_script
from noiselab.families.fine_tuning import task
from noiselab.families.fine_tuning.network import loaded
from noiselab.families.probe.summary import summary
from noiselab.files import whole_file, write_json
from noiselab.planning import provenance
from noiselab.run import Run
from noiselab.training.shards import identity, in_shards


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run.json")
    parser.add_argument("--backbone", type=Path, required=True, help="its run.json")
    parser.add_argument("--weights", type=Path, nargs="?", help="of a model that was trained here")
    parser.add_argument("--fits", type=Path, required=True, help="folder, kept if stopped")
    parser.add_argument("--chosen", type=Path, required=True, help="csv")
    parser.add_argument("--tried", type=Path, required=True, help="csv")
    parser.add_argument("--summary", type=Path, required=True, help="json")
    arguments = parser.parse_args()
    run, backbone = Run.read(arguments.run), Run.read(arguments.backbone)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    began = time.monotonic()
    encode, model = loaded(backbone, arguments.weights, device)
    described, texts = labelled_texts.read(run.data)
    items = {split: task.Texts(encode(own.texts), own.labels) for split, own in texts.items()}
    items, attempts = task.splits(run, items), task.attempts(run)

    def make(number: int) -> dict[str, np.ndarray]:
        _, setting, seed = attempts[number]
        found = task.tuned(model, items, run, setting, seed)
        return {name: np.array(value) for name, value in found.items()}

    folder = arguments.fits / identity(run, arguments.weights, described, backbone.content())
    shards = list(in_shards(folder, len(attempts), make))
    found = [{name: float(value) for name, value in own.items()} for own in shards]
    tried, chosen = task.tables(run, found, items)
    for path, table in ((arguments.tried, tried), (arguments.chosen, chosen)):
        with whole_file(path) as temporary:
            table.to_csv(temporary, index=False)
    counts = {split: len(own.targets) for split, own in items.items()}
    made = summary(run, counts, len(attempts), time.monotonic() - began)
    write_json(arguments.summary, made | provenance.describe(device))
    shutil.rmtree(arguments.fits)


if __name__ == "__main__":
    run_script(main)
