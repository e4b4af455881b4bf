"""What a perfectly calibrated model must lose: the noise floor.

A model that learned the corrupted distribution exactly predicts q = p T, where p is the clean
conditional and T the corruption's transition matrix. Its score on clean data is the floor.
"""

import numpy as np

# Closer probabilities of *observed* labels are a tie: where the noise makes two classes equally
# likely, what is left of the clean model's preference (its smallest probabilities) is no decision
# that any model could learn.
TIE = 1e-3


def transition_matrix(corruption: str, error_rate: float, classes: int) -> np.ndarray:
    """T[y, z] = probability that label y is observed as z, float64 [C, C]; rows sum to 1."""
    identity = np.eye(classes)
    if corruption == "none":
        return identity
    if corruption == "uniform_label":
        wrong = (1 - identity) / (classes - 1)
    elif corruption == "shift_label":
        wrong = np.roll(identity, 1, axis=1)
    else:
        raise ValueError(f"no transition matrix for corruption {corruption!r}")
    return (1 - error_rate) * identity + error_rate * wrong


def observed_posterior(p: np.ndarray, corruption: str, error_rate: float) -> np.ndarray:
    """q(z|x) = sum over y of p(y|x) T[y, z], the conditional of corrupted labels.

    p: float [n, C], the clean conditional. Returns float64 [n, C].
    """
    return p.astype(np.float64) @ transition_matrix(corruption, error_rate, p.shape[1])


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
