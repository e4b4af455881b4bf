"""Try recipes of a classifier on held-out training images; the test set is never looked at.

The last 5,000 training images are for validation, the others for training. Each line of the table
is one training of the clean run of Table 2 with changes:

    snakemake --cores 2 --config tier=desk 'data={root: /path}' -- \\
      results/desk/data/cifar10/dataset.json
    python benchmarks/recipe_search.py --tier desk --data /path '{epochs: 5}' \\
      '{epochs: 5, optimizer: {learning_rate: 0.5}}'
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import torch
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))
from noiselab.data import prepared
from noiselab.families.classifier import task as classifier
from noiselab.planning import config, provenance, runs
from noiselab.run import Run
from noiselab.training.loop import Settings, train

OUT = ROOT / "docs" / "results" / "recipe_search" / "tried.csv"
HELD_OUT = 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tier", default="desk")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--data", help="data.root")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("changes", nargs="+", help="of the recipe, YAML")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for change in arguments.changes:
        row = tried(clean_run(arguments, yaml.safe_load(change)), change)
        print(row, flush=True)
        before = pd.read_csv(OUT) if OUT.is_file() else pd.DataFrame()
        row = {"number": len(before) + 1} | row
        OUT.parent.mkdir(parents=True, exist_ok=True)
        pd.concat([before, pd.DataFrame([row])]).to_csv(OUT, index=False)


def clean_run(arguments: argparse.Namespace, changes: dict) -> Run:
    """The run with the changes, as long in epochs as it would be with all images."""
    own = {"experiments": {"table2": {"datasets": [arguments.dataset], "training": changes}}}
    own |= {"data": {"root": arguments.data}, "only": ["table2"]}
    plan = runs.plan(config.load(own, tier=arguments.tier), f"results/{arguments.tier}")
    run = next(run for run in plan.runs.values() if run.corruption == "none")
    _, whole, _ = prepared.read_run(run)
    share = 1 - HELD_OUT / len(whole.y)
    lengths = ("steps", "schedule_steps", "warmup_steps")
    shorter = {key: round(share * run.training[key]) for key in lengths}
    return run | {"training": {**run.training, **shorter, "evaluate_every": None}}


def tried(run: Run, change: str) -> dict:
    """A row: the changes, accuracy on held-out images in per cent, and what it took."""
    described, whole, _ = prepared.read_run(run)
    parts = [prepared.Split(whole.x[part], whole.y[part]) for part in _split(len(whole.y))]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    task = classifier.task(run, device, (described, *parts))
    with TemporaryDirectory() as folder:
        begun = time.perf_counter()
        model, summary = train(
            task.model,
            task.batch,
            task.loss,
            replace(Settings(**run.training), checkpoint_minutes=1e6),
            seed=run.seed,
            run_digest="",
            folder=Path(folder),
            device=device,
        )
        seconds = time.perf_counter() - begun
    row = {"changes": change, "widths": str(run.model.get("widths")), "held_out": HELD_OUT}
    row |= {"flip": str(run.augment["flip"])}
    row |= {"scored": "both views" if run.get("average_mirrored") else "one view"}
    row |= {"accuracy": task.evaluate(model)["test_accuracy"], "unit": "%", "seconds": seconds}
    row |= {"examples_per_second": summary["examples_per_second"]}
    told = provenance.describe(device)
    return row | {key: told[key] for key in ("device", "revision")}


def _split(count: int) -> tuple[slice, slice]:
    return slice(0, count - HELD_OUT), slice(count - HELD_OUT, count)


if __name__ == "__main__":
    main()
