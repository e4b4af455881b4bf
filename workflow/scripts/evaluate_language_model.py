"""Score one language model on clean and on noisy text, with the floors from the clean run."""

import argparse
from pathlib import Path

from noiselab.data import text
from noiselab.errors import run_script
from noiselab.families.language_model import task as language_model
from noiselab.files import read_json
from noiselab.measures.metrics import language_model_metrics
from noiselab.noise.registry import corruption
from noiselab.planning.provenance import write_metrics
from noiselab.training import distributed
from noiselab.training.weights import load_weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="run.json")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--summary", type=Path, required=True, help="of the training")
    parser.add_argument("--clean", type=Path, required=True, help="weights of the clean run")
    parser.add_argument(
        "--out-of-domain", type=Path, nargs="?", help="npy; where the data set has such text"
    )
    parser.add_argument("--metrics", type=Path, required=True)
    arguments = parser.parse_args()
    run = read_json(arguments.run)
    noise = corruption(run)
    _, train, validation = text.read(run["data"])
    crops, context = run["evaluation"]["crops"], run["model"]["context"]
    windows = {
        "validation": language_model.random_windows(run, validation, "crops", crops)
        if crops
        else list(language_model.validation_windows(validation, context)),
        "train": language_model.random_windows(
            run, train, "train-evaluation", run["evaluation"]["train_sequences"]
        ),
    }
    if arguments.out_of_domain:
        outside = text.mapped(arguments.out_of_domain)
        windows["out_of_domain"] = list(language_model.validation_windows(outside, context))
    with distributed.process_group() as device:

        def scores(weights: Path, prefix: str, of_clean_text: str) -> dict[str, dict]:
            model = load_weights(weights, language_model.build(run), device).eval()
            of_noisy_text = (f"{prefix}nll", f"{prefix}mean_nll")
            names = dict.fromkeys(windows, ("nll", of_clean_text)) | {"train": of_noisy_text}
            noisy = noise, run["vocabulary"]
            return {
                split: language_model.token_scores(model, part, *noisy, device, names[split])
                for split, part in windows.items()
            }

        own = scores(arguments.weights, "", "denoised_nll")
        clean = scores(arguments.clean, "floor_", "floor_nll")
    metrics = language_model_metrics(own, clean, noise, context)
    write_metrics(arguments.metrics, run, arguments.summary, metrics)


if __name__ == "__main__":
    run_script(main)
