"""What the stages of a language model, and the analyses of language models, compute and leave."""

import math

from noiselab.families.descriptor import CLEAN
from noiselab.families.work import SCORES, Computing, Sizes, Work, nothing


def glance(sizes: Sizes) -> float:
    """Sequences of one evaluation during training: of validation text and of the noise text, and
    of texts out of the domain where these have curves, too."""
    run, wanted = sizes.run, sizes.run.evaluation["curve_sequences"]
    others = ("noise_text" in run) + len(run.get("domain_curves", ()))
    return min(windows(sizes), wanted) + others * wanted


def windows(sizes: Sizes) -> int:
    """Sequences of the validation split."""
    return math.ceil(sizes.data.validation / sizes.run.model["context"])


def scoring(sizes: Sizes) -> Work:
    """Scored by its own model and by that of the clean run, for the floor."""
    run, evaluation = sizes.run, sizes.run.evaluation
    sequences = (evaluation["crops"] or windows(sizes)) + evaluation["train_sequences"]
    models = 1 if run.parents[CLEAN] == run.run_id else 2
    return Work((Computing(models * sequences * sizes.network.forward, kind=SCORES),))


WORK = {"train_language_model": nothing, "evaluate_language_model": scoring}


def gradient_passes(options: dict) -> float:
    """Forward passes per run, for Table 4."""
    sequences = sum(options["batch_sizes"]) * options["batches"] * len(options["error_rates"])
    return _unit_passes(options["protocols"]) * sequences


def projection_passes(options: dict) -> float:
    """Forward passes per run, for Figure 4: as many sequences as the largest batches of Table 4
    have, at least two batches."""
    size = options["picture_batch_size"]
    batches = max(2, options["batches"] * max(options["batch_sizes"]) // size)
    return _unit_passes(options["protocols"]) * batches * size


def _unit_passes(protocols: list[str]) -> int:
    """Forward passes that a sequence is worth, under all protocols: it is two units under `tokens`,
    one under `sequences`; a unit goes forward, backward, and more than once through the output
    head."""
    return 4 * sum(2 if protocol == "tokens" else 1 for protocol in protocols)


def stability_passes(options: dict) -> float:
    """Forward passes per run: the largest macro-batches have the others in them."""
    return max(options["batch_sizes"]) * options["macro_batches"]


# Builder of an analysis -> (kind of efficiency, forward passes per run).
ANALYSES = {
    "measure_gradients": ("gradients", gradient_passes),
    "project_gradients": ("gradients", projection_passes),
    "measure_loss_stability": ("losses", stability_passes),
}
