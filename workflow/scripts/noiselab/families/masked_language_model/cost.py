"""What the stages of a masked language model compute."""

from noiselab.families.descriptor import CLEAN
from noiselab.families.language_model.cost import glance, windows
from noiselab.families.work import SCORES, Computing, Sizes, Work, nothing

__all__ = ["WORK", "glance"]


def scoring(sizes: Sizes) -> Work:
    """Scored by its own model and by that of the clean run: the validation split, and two samples
    of noise text."""
    run = sizes.run
    sequences = windows(sizes) + 2 * run.evaluation["noise_sequences"] * ("noise_text" in run)
    models = 1 if run.parents[CLEAN] == run.run_id else 2
    return Work((Computing(models * sequences * sizes.network.forward, kind=SCORES),))


WORK = {"train_masked_language_model": nothing, "evaluate_masked_language_model": scoring}
