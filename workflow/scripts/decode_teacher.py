"""Let the noisy teacher write a target for every training source."""

import argparse
import shutil
from pathlib import Path

import numpy as np

from noiselab import records
from noiselab.data import pairs
from noiselab.errors import run_script
from noiselab.families.seq2seq import task as seq2seq
from noiselab.families.seq2seq.teacher import decode_all, length_statistics
from noiselab.files import write_json
from noiselab.measures.text_scores import score
from noiselab.planning import provenance
from noiselab.run import Run
from noiselab.training import distributed
from noiselab.training.weights import load_weights

SCORED = 1000  # training pairs, the first ones, for BLEU or ROUGE-L


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run.json of the teacher")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--shards", type=Path, required=True, help="folder, kept if stopped")
    parser.add_argument("--targets", type=Path, required=True, help="npy; offsets lie beside it")
    parser.add_argument("--statistics", type=Path, required=True, help="json")
    records.add_options(parser)
    arguments = parser.parse_args()
    run = Run.read(arguments.run)
    _, train, _ = pairs.read(run.data)
    with distributed.process_group() as device:
        model = load_weights(arguments.weights, seq2seq.build(run), device, run.run_id)
        model.eval()
        targets, ended = decode_all(model, run, arguments.weights, train, arguments.shards, device)
        if distributed.rank() == 0:
            pairs.write_sequences(arguments.targets.with_suffix(""), targets)
            content = statistics(run, train.target, targets, ended)
            if not all(weights.isfinite().all() for weights in model.parameters()):
                content["diverged"] = True  # what it wrote says nothing
            write_json(arguments.statistics, content | provenance.describe(device))
            shutil.rmtree(arguments.shards)
            offsets = Path(f"{arguments.targets.with_suffix('')}_offsets.npy")
            records.keep(arguments, arguments.targets, offsets, arguments.statistics)


def statistics(run: Run, clean: pairs.Sequences, targets: list, ended: np.ndarray) -> dict:
    """What the teacher wrote, beside the clean targets; lengths in tokens."""
    lengths = np.array(list(map(len, targets)))
    first = range(min(SCORED, clean.count))
    tokenizer = pairs.tokenizer(run.data)
    written = tokenizer.decode_batch([targets[i].tolist() for i in first])
    references = tokenizer.decode_batch([clean.get(i).tolist() for i in first])
    name = run.evaluation["score"]
    identical = [np.array_equal(t, clean.get(i)) for i, t in enumerate(targets)]
    return {
        "run": run.content(),
        "pairs": clean.count,
        "ended": float(ended.mean()),
        "empty": float((lengths == 0).mean()),
        "identical": float(np.mean(identical)),
        "lengths": length_statistics(lengths),
        "clean_lengths": length_statistics(clean.lengths()),
        "score": {"metric": name, "pairs": len(first), **score(name, written, references)},
    }


if __name__ == "__main__":
    run_script(main)
