"""The paper's own theory: how much noise leaves to learn from.

Section 4 asks for information (Eq. 1), sample complexity (Eq. 2) and what averaging does to
gradients and losses; a bound says what calibrated learning of noise costs at most.
"""

import numpy as np
from scipy.special import entr

# --------------------------------------------------------------------------- bounds


def floor_rise_bound(error_rate):
    """-log(1 - e) = ln(1 + r) nats: the most that calibrated learning of noise adds to an NLL.

    q >= (1 - e) p whatever else the corruption puts in the place of p; per token under
    `uniform_token`, per sequence under `teacher`, per window where whole windows are noise
    (mixture.py). error_rate: below 1, any shape.
    """
    return -np.log1p(-np.asarray(error_rate, dtype=np.float64))


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
