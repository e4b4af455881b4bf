"""What the stages of a diffusion model compute and leave."""

from noiselab.families.classifier import cost as classifier
from noiselab.families.descriptor import JUDGE
from noiselab.families.diffusion.family import features
from noiselab.families.work import Computing, Sizes, Work, nothing

# FLOPs of the features of one image by pytorch-fid's Inception, which sees 299 x 299 pixels: twice
# the 5.7 G multiplications and additions of Szegedy et al. 2015, Table 2.
INCEPTION = 2 * 5.7e9
INCEPTION_FEATURES = 2048


def glance(sizes: Sizes) -> float:
    """Examples of one evaluation during training."""
    return sizes.data.held_out(sizes.run.evaluation["curve_images"])


def sampling(sizes: Sizes) -> Work:
    """2 x steps - 1 forward passes per image (Heun)."""
    run, evaluation = sizes.run, sizes.run.evaluation
    passes = evaluation["images"] * (2 * evaluation["sampling_steps"] - 1)
    size = evaluation["images"] * run.channels * run.size**2
    return Work((Computing(passes * sizes.network.forward),), size)


def measuring(sizes: Sizes) -> Work:
    """The judge and the features see every image; the model is a classifier by a forward pass per
    test image, class and draw of noise."""
    run, evaluation, judge = sizes.run, sizes.run.evaluation, sizes.parents[JUDGE]
    errors = sizes.data.held_out(evaluation["classified"]) * run.classes
    classifying = errors * evaluation["draws"] * sizes.network.forward
    compared = _compared(features(run), judge)
    judging = evaluation["images"] * (judge.network.forward + compared)
    size = 8 * (errors + evaluation["images"] + _moments(features(run), judge))
    return Work((Computing(classifying), Computing(judging, role=JUDGE)), size)


def measuring_data(judge: Sizes) -> Work:
    """Features of all training images, once per judge. The stage's variant is whose features."""
    flops = judge.data.train * _compared(judge.variant, judge)
    return Work((Computing(flops),), 8 * _moments(judge.variant, judge))


def _compared(whose: str, judge: Sizes) -> float:
    """FLOPs of the features of one image."""
    return judge.network.forward if whose == JUDGE else INCEPTION


def _moments(whose: str, judge: Sizes) -> int:
    """Numbers in mean and covariance of features."""
    width = classifier.features(judge.run) if whose == JUDGE else None
    width = width or INCEPTION_FEATURES
    return width * (width + 1)


WORK = {
    "train_diffusion": nothing,
    "sample_images": sampling,
    "measure_generated": measuring,
    "measure_training_set": measuring_data,
}
