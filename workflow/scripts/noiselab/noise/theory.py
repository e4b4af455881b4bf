"""What a perfectly calibrated model must lose: the noise floor; and the paper's own theory.

A model that learned the corrupted distribution exactly predicts q = p T, where p is the clean
conditional and T the corruption's transition matrix. Its score on clean data is the floor. The
paper's Section 4 asks how much noise leaves to learn from: information (Eq. 1), sample complexity
(Eq. 2) and what averaging does to gradients and losses.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import entr

# Closer probabilities of *observed* labels are a tie: where the noise makes two classes equally
# likely, what is left of the clean model's preference (its smallest probabilities) is no decision
# that any model could learn.
TIE = 1e-3


def uniform_wrong(classes: int) -> np.ndarray:
    """W of `uniform_label`: each of the other classes alike (Algorithm 3)."""
    return (1 - np.eye(classes)) / (classes - 1)


def next_wrong(classes: int) -> np.ndarray:
    """W of `shift_label`: the next class, y + 1 mod C (Appendix L)."""
    return np.roll(np.eye(classes), 1, axis=1)


# Corruption of labels -> (number of classes -> W). W[y, z] is the probability that a label y, once
# corrupted, is observed as z: float64 [C, C], rows sum to 1, the diagonal is 0.
WRONG_LABELS: dict[str, Callable[[int], np.ndarray]] = {
    "uniform_label": uniform_wrong,
    "shift_label": next_wrong,
}


def wrong_labels(corruption: str, classes: int, wrong: np.ndarray | None = None) -> np.ndarray:
    """W of a named corruption, or `wrong`, that of `label_matrix`, float64 [C, C].

    ValueError: there is neither.
    """
    if wrong is not None:
        return wrong
    if corruption not in WRONG_LABELS:
        raise ValueError(f"no transition matrix for corruption {corruption!r}")
    return WRONG_LABELS[corruption](classes)


def transition_matrix(
    corruption: str, error_rate: float, classes: int, wrong: np.ndarray | None = None
) -> np.ndarray:
    """T[y, z] = probability that label y is observed as z, float64 [C, C]; rows sum to 1.

    T = (1 - e) I + e W. wrong: W of `label_matrix`, float64 [C, C]. ValueError for a corruption
    that has no W.
    """
    if corruption == "none":
        return np.eye(classes)
    wrong = wrong_labels(corruption, classes, wrong)
    return (1 - error_rate) * np.eye(classes) + error_rate * wrong


def observed_posterior(
    p: np.ndarray, corruption: str, error_rate: float, wrong: np.ndarray | None = None
) -> np.ndarray:
    """q(z|x) = sum over y of p(y|x) T[y, z], the conditional of corrupted labels.

    p: float [n, C], the clean conditional; wrong: as for `transition_matrix`. Returns float64
    [n, C].
    """
    return p.astype(np.float64) @ transition_matrix(corruption, error_rate, p.shape[1], wrong)


def observed_agreement(agreement, error_rate: float, classes: int):
    """Probability that a label drawn from q agrees with the true one under `uniform_label`, where
    one drawn from p does so with probability `agreement`: (1 - e) a + e (1 - a) / (C - 1).

    What a sampler that learned the corrupted distribution exactly must show; any shape.
    """
    return (1 - error_rate) * agreement + error_rate * (1 - agreement) / (classes - 1)


def observed_tokens(p, error_rate: float, vocabulary: int):
    """q = (1 - e) p + e / V, the conditional of tokens under `uniform_token` noise.

    p: probabilities, any shape, array or tensor; those of single tokens or whole distributions.
    """
    return (1 - error_rate) * p + error_rate / vocabulary


# Smallest probability before normalisation that denoising leaves to a token.
TINY = 1e-8


def denoised_tokens(q, error_rate: float, vocabulary: int):
    """The clean conditional that a model of noisy tokens implies, p ~ max((q - e/V)/(1-e), tiny).

    q: probabilities [..., V], array or tensor. Says how much a noisy model really forgot.
    """
    p = ((q - error_rate / vocabulary) / (1 - error_rate)).clip(min=TINY)
    return p / p.sum(-1, keepdims=True)


def expected_noisy_nll(nll, mean_nll, error_rate: float):
    """NLL expected on noisy targets: the true token with probability 1 - e, else any token.

    nll: of the true token; mean_nll: mean over the vocabulary; both in nats, any shape.
    """
    return (1 - error_rate) * nll + error_rate * mean_nll


def observed_sequences(clean_nll, teacher_nll, error_rate: float):
    """NLL of whole sequences under q(Y|x) = (1 - e) p_clean(Y|x) + e p_teacher(Y|x), in nats.

    clean_nll, teacher_nll: -log p(Y|x) of the clean model and of what writes the wrong targets,
    any shape. A teacher that decodes greedily writes one sequence with certainty: 0 for that one
    and infinite for all others. The result is at most -log(1 - e) above the clean NLL.
    """
    with np.errstate(divide="ignore"):  # log 0 where there is no noise
        return -np.logaddexp(np.log1p(-error_rate) - clean_nll, np.log(error_rate) - teacher_nll)


def decisions(p: np.ndarray, tie: float = 0.0) -> np.ndarray:
    """The most probable class of each row as weights, float64 [n, C]. Classes within `tie` of
    the best share the weight, as they would on average if ties were broken at random."""
    best = p >= p.max(axis=1, keepdims=True) - tie
    return best / best.sum(axis=1, keepdims=True)


# --------------------------------------------------------------------------- bounds


def floor_rise_bound(error_rate):
    """-log(1 - e) = ln(1 + r) nats: the most that calibrated learning of noise adds to an NLL.

    q >= (1 - e) p whatever else the corruption puts in the place of p; per token under
    `uniform_token`, per sequence under `teacher`. error_rate: below 1, any shape.
    """
    return -np.log1p(-np.asarray(error_rate, dtype=np.float64))


def overtaking_error_rate(corruption: str, classes: int) -> float:
    """Error rate from which another class is at least as probable as the true one in q, for a
    model that is certain of the true class: (C - 1) / C for `uniform_label`, where every model's
    decision stays up to there, 1/2 for `shift_label`, where an uncertain one may turn earlier.

    Raises ValueError for other corruptions.
    """
    if corruption == "uniform_label":
        return uninformative_error_rate(classes)
    if corruption == "shift_label":
        return 0.5
    raise ValueError(f"no class overtakes under corruption {corruption!r}")


# --------------------------------------------------------------------------- information


def relative_information_loss(error_rate, classes: int):
    """Share of the label's entropy that a corrupted label no longer tells: H(y|x) / H(y), Eq. 1.

    y: true label, uniform over the classes; x: observed under `uniform_label`. error_rate: 0 to 1,
    any shape; classes: 2 or more. Exact at both ends, where e log e is 0 (Appendix Q).
    """
    e = np.asarray(error_rate, dtype=np.float64)
    missing = entr(e) + entr(1 - e) + e * np.log(classes - 1)  # H(y|x) in nats
    return missing / np.log(classes)


def uninformative_error_rate(classes: int) -> float:
    """(n - 1) / n, where an observed label is independent of the true one and Eq. 1 reaches its
    maximum, 1 (Eq. 21). Beyond, it tells again: what the label is not."""
    return (classes - 1) / classes


# --------------------------------------------------------------------------- sample complexity


def pac_sample_bound(error, confidence, vc_dimension, constant):
    """m >= c0 (1/eps log 1/delta + d/eps log 1/eps), Eq. 2: examples that learning needs.

    error: eps; confidence: delta, the probability of failure; both above 0 and below 1;
    vc_dimension: d; constant: c0; any shapes. Natural logarithms. An illustration of how need
    grows with d: c0 is not known, so the caller must choose it, and the level means nothing.
    """
    failure, capacity = np.log(1 / np.asarray(confidence)), np.log(1 / np.asarray(error))
    return constant * (failure + vc_dimension * capacity) / error


def clean_examples(examples, error_rate):
    """(1 - e) m, what is left to set against Eq. 2 where noise replaces examples; any shape."""
    return (1 - error_rate) * examples


# --------------------------------------------------------------------------- averaging


def averaged_std(std, size, larger):
    """Standard deviation of a mean over `larger` independent examples, from `std`, that of a mean
    over `size`: std(B) = std(B0) sqrt(B0 / B) (Table 11). Any shape and unit."""
    return std * np.sqrt(size / larger)


def sum_norm(norm, count, cosine):
    """Norm of the sum of `count` vectors of length `norm` and mean pairwise cosine `cosine`,
    sqrt(m + m (m - 1) cos) times their length (Section 4.3, Figure 4b).

    Coherent vectors grow like m, orthogonal ones like sqrt m. cosine: of real vectors at least
    -1 / (m - 1); any shape.
    """
    return norm * np.sqrt(count + count * (count - 1) * cosine)
