"""Train one run of any family. The same command resumes where a stopped one left off."""

import argparse
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

import torch

from noiselab import records
from noiselab.errors import run_script
from noiselab.files import digest, read_json, save_arrays, write_json
from noiselab.planning import provenance
from noiselab.processes import keep_memory
from noiselab.run import Run
from noiselab.training import distributed, locks
from noiselab.training.loop import SNAPSHOT, Settings, train
from noiselab.training.records import finish
from noiselab.training.weights import load_initial, load_weights, save_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run.json")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--history", type=Path, required=True)
    parser.add_argument("--summary", type=Path, required=True)
    parser.add_argument("--predictions", type=Path, help="npz, where a family has them")
    records.add_options(parser)
    arguments = parser.parse_args()
    run = Run.read(arguments.run)
    data = digest(read_json(Path(run.data, "dataset.json")))
    digests = {"run": digest(run.content()), "data": data}
    with distributed.process_group() as device:
        first = distributed.rank() == 0
        with locks.exclusive(arguments.checkpoints) if first else nullcontext(False) as waited:
            done = torch.tensor(int(waited and records.made(arguments)), device=device)
            if distributed.reduce(done, "max"):
                print("noiselab: another process has made this run", flush=True)
                return
            make(run, digests, arguments, device)


def make(run: Run, digests: dict, arguments: argparse.Namespace, device: torch.device) -> None:
    """Train a run, from its last checkpoint if there is one, and write what is asked for. digests:
    of its settings and its data."""
    identity = digest(digests)  # a checkpoint of other settings or data is of no use
    folder = arguments.checkpoints / identity[:12]

    keep_memory()
    task = import_module(f"noiselab.families.{run.family}.task").task(run, device)
    facts = {"digests": digests}
    if not run.get("clean_labels", True):
        facts["measured_error_rate"] = None  # nobody knows which targets are wrong
    if "init" in run:
        facts["init"] = load_initial(run.init, task.model)
    settings = Settings(**run.training)
    model, summary = train(
        task.model,
        task.batch,
        task.loss,
        settings,
        seed=run.seed,
        run_digest=identity,
        folder=folder,
        device=device,
        evaluate=task.evaluate,
    )
    predictions = task.predict(model) if arguments.predictions else {}
    if distributed.rank() == 0:
        save_weights(arguments.weights, model, run.run_id)
    if settings.snapshot_step and arguments.predictions:
        if (summary["diverged_at"] or summary["steps"]) > settings.snapshot_step:
            load_weights(folder / SNAPSHOT, model, device)
        predictions |= {f"snapshot_{k}": v for k, v in task.predict(model).items()}
    if distributed.rank() == 0:
        if arguments.predictions:
            save_arrays(arguments.predictions, predictions)
        write_json(arguments.summary, summary | facts | provenance.describe(device))
        finish(folder, arguments.history)
        made = (arguments.weights, arguments.history, arguments.summary, arguments.predictions)
        records.keep(arguments, *made)


if __name__ == "__main__":
    run_script(main)
