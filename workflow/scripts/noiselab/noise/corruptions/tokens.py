"""Wrong tokens in the targets of a language model, or of a decoder."""

from functools import cached_property, lru_cache
from pathlib import Path
from typing import Self

import numpy as np

from noiselab import streams
from noiselab.errors import NoiselabError
from noiselab.noise.base import Corruption
from noiselab.run import Run

# Smallest probability before normalisation that denoising leaves to a token.
TINY = 1e-8
# A permutation is not taken out of predictions where that would multiply their errors by more.
LARGEST_GAIN = 1000
SYMBOLS = 3  # of pairs of texts: padding, begin and end, the first of the vocabulary
UNIGRAM = "unigram.npy"  # of a prepared text: how often each token is in its training split


class TokenCorruption(Corruption):
    """With probability e a target becomes a wrong token, by a rule that knows the true one alone.

    rate: e; vocabulary: V, without what pads it for the network. The true token may be drawn, too,
    so that `true_error_rate` of the targets differ. symbols: so many of the first tokens are no
    text; they stay as they are, and no token becomes one, so that noise ends no sequence.
    """

    families = ("language_model", "seq2seq")
    target = "token"

    def __init__(self, rate: float, vocabulary: int, symbols: int = 0):
        self.rate, self.vocabulary, self.symbols = rate, vocabulary, symbols

    @classmethod
    def from_run(cls, run: Run) -> Self:
        return cls(run.error_rate, run.vocabulary, SYMBOLS if run.family == "seq2seq" else 0)

    def draw(self, targets: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        drawn, corrupted = super().draw(targets, u)
        if not self.symbols:
            return drawn, corrupted
        text = targets >= self.symbols
        return np.where(text, drawn, targets), corrupted & text

    @property
    def true_error_rate(self) -> float:
        """Expected share of the targets of the training text that differ from the true ones."""
        raise NotImplementedError

    @property
    def why_not_denoised(self) -> str | None:
        """Why the noise cannot be taken out of predictions; None: it can."""
        return "no target says what the true one was" if self.rate == 1 else None

    def observed_tokens(self, log_p, tokens):
        """q of single tokens, [..., n]. log_p: of p, tensor [..., V]; tokens: int64 [..., n]."""
        return self.observed(log_p.exp()).gather(-1, tokens)

    def wrong_mean(self, values, true):
        """Mean of `values`, tensor [..., V], over what a corrupted token `true`, int64 [..., 1],
        becomes; tensor [...]."""
        raise NotImplementedError

    def denoised(self, q):
        """The clean conditional that a model of noisy tokens implies. q: probabilities [..., V],
        array or tensor. Says how much a noisy model really forgot."""
        raise NotImplementedError

    def expected_nll(self, nll, mean_nll):
        """NLL expected on noisy targets: the true token with probability 1 - e, else a wrong one.

        nll: of the true token; mean_nll: `wrong_mean` of all tokens'; both in nats, any shape.
        """
        if self.rate == 1:  # the NLL of a token that is never taught may be infinite
            return mean_nll
        return (1 - self.rate) * nll + self.rate * mean_nll


class UniformToken(TokenCorruption):
    """Any token of the vocabulary, uniformly, the true one too (Algorithm 2)."""

    name = "uniform_token"

    @property
    def true_error_rate(self) -> float:
        return self.rate * (1 - 1 / (self.vocabulary - self.symbols))

    def replacements(self, targets: np.ndarray, v: np.ndarray) -> np.ndarray:
        count = self.vocabulary - self.symbols
        return self.symbols + np.minimum(v * count, count - 0.5).astype(targets.dtype)

    def observed(self, p):
        """q = (1 - e) p + e / V. p: probabilities, any shape, array or tensor; those of single
        tokens or whole distributions. Beside symbols, whole distributions [..., V]: they keep their
        p, and others share what is left of 1."""
        if not self.symbols:
            return (1 - self.rate) * p + self.rate / self.vocabulary
        text = _beside(p, np.arange(self.vocabulary) >= self.symbols)
        share = (p * text).sum(-1)[..., None] / (self.vocabulary - self.symbols)
        return p + self.rate * text * (share - p)

    def observed_tokens(self, log_p, tokens):
        """As from the whole distribution, which it does not need where there are no symbols."""
        if self.symbols:
            return super().observed_tokens(log_p, tokens)
        return self.observed(log_p.gather(-1, tokens).exp())

    def wrong_mean(self, values, true):
        return values.mean(-1)

    def denoised(self, q):
        """p ~ max((q - e/V)/(1-e), tiny)."""
        return normalised((q - self.rate / self.vocabulary) / (1 - self.rate))


class UnigramToken(TokenCorruption):
    """Any token by its frequency in the clean training text, perhaps the true one.

    counts: how often each token is in that text, int [V].
    """

    name = "unigram_token"
    families = ("language_model",)

    def __init__(self, rate: float, counts: np.ndarray):
        super().__init__(rate, len(counts))
        self.counts = counts
        self.frequencies = counts / counts.sum()  # u, float64 [V]

    @classmethod
    def from_run(cls, run: Run) -> Self:
        """NoiselabError: the counts are missing, broken or of another vocabulary."""
        return cls(run.error_rate, read_counts(Path(run.data) / UNIGRAM, run.vocabulary))

    @property
    def true_error_rate(self) -> float:
        return self.rate * (1 - float(self.frequencies @ self.frequencies))

    @cached_property
    def _edges(self) -> np.ndarray:
        total = self.counts.sum()
        return self.counts.cumsum() / total  # of integers, so that the last is 1 exactly

    def replacements(self, targets: np.ndarray, v: np.ndarray) -> np.ndarray:
        """By the inverse of the cumulative distribution."""
        below_1 = np.minimum(v, np.nextafter(1, 0))
        return np.searchsorted(self._edges, below_1, side="right").astype(targets.dtype)

    def observed(self, p):
        """q = (1 - e) p + e u. p: whole distributions [..., V], array or tensor."""
        return (1 - self.rate) * p + self.rate * _beside(p, self.frequencies)

    def observed_tokens(self, log_p, tokens):
        """As from the whole distribution, which it does not need."""
        u = _beside(log_p, self.frequencies)[tokens]
        return (1 - self.rate) * log_p.gather(-1, tokens).exp() + self.rate * u

    def wrong_mean(self, values, true):
        possible = np.flatnonzero(self.counts)  # others may have a value that is infinite
        weights = _beside(values, self.frequencies[possible])
        return values[..., _beside(values, possible)] @ weights

    def denoised(self, q):
        """p ~ max((q - e u)/(1-e), tiny)."""
        return normalised((q - self.rate * _beside(q, self.frequencies)) / (1 - self.rate))


class PermutedToken(TokenCorruption):
    """Each token has one fixed wrong token: structured noise.

    Which one is drawn once for a vocabulary, and does not depend on the run's seed: seeds then
    repeat the same experiment, as they do where the wrong label is always the next class.
    """

    name = "permuted_token"

    def __init__(self, rate: float, vocabulary: int, symbols: int = 0):
        super().__init__(rate, vocabulary, symbols)
        pair = derangement(vocabulary - symbols)
        kept = np.arange(symbols)
        self.wrong, self.right = (np.append(kept, symbols + tokens) for tokens in pair)

    @property
    def true_error_rate(self) -> float:
        return self.rate

    @property
    def why_not_denoised(self) -> str | None:
        """At e = 1/2 a token and that which it stands in for are equally likely to be true. Near
        it, an error of q is multiplied by up to 1 / |1 - 2e|. Beyond, all is known again."""
        if abs(1 - 2 * self.rate) * LARGEST_GAIN >= 1:
            return None
        return "at error rate 1/2 the true token and the wrong one are seen equally often"

    def replacements(self, targets: np.ndarray, v: np.ndarray) -> np.ndarray:
        return self.wrong[targets].astype(targets.dtype)

    def observed(self, p):
        """q(t) = (1 - e) p(t) + e p(s), where s is the token that becomes t. p: whole
        distributions [..., V], array or tensor."""
        return (1 - self.rate) * p + self.rate * p[..., _beside(p, self.right)]

    def observed_tokens(self, log_p, tokens):
        """As from the whole distribution, which it does not need."""
        others = _beside(log_p, self.right)[tokens]
        p, other = (log_p.gather(-1, t).exp() for t in (tokens, others))
        return (1 - self.rate) * p + self.rate * other

    def wrong_mean(self, values, true):
        return values.gather(-1, _beside(values, self.wrong)[true]).squeeze(-1)

    def denoised(self, q):
        """The p of which q is observed, by 1/(1 + x) = (1 - x)(1 + x^2)(1 + x^4)… with x the
        permutation times -e/(1-e), or its inverse where e is above 1/2."""
        e, source = self.rate, self.right
        if e > 0.5:
            q, e, source = q[..., _beside(q, self.wrong)], 1 - e, self.wrong
        p, factor = q / (1 - e), -e / (1 - e)
        while abs(factor) > np.finfo(np.float64).eps / 8:
            p = p + factor * p[..., _beside(p, source)]
            factor, source = factor**2, source[source]
        return normalised(p)


@lru_cache
def derangement(size: int) -> tuple[np.ndarray, np.ndarray]:
    """What each token becomes, and which token becomes it, int64 [size]: a random cycle through
    all, so that none stays what it is. size: 2 or more."""
    order = streams.permutation(0, "permuted-token", 0, size)
    wrong, right = np.empty((2, size), dtype=np.int64)
    wrong[order], right[order] = np.roll(order, -1), np.roll(order, 1)
    return wrong, right


def read_counts(path: Path, vocabulary: int) -> np.ndarray:
    """How often each token is in a training text, int64 [V]. NoiselabError: the file is missing,
    broken or of another vocabulary."""
    try:
        counts = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise NoiselabError(f"{path}: cannot be read; prepare the text once more") from error
    whole = counts.dtype == np.int64 and counts.shape == (vocabulary,)
    if not whole or counts.min() < 0 or counts.max() == 0:
        raise NoiselabError(f"{path}: not the counts of {vocabulary} tokens")
    return counts


def normalised(p):
    """Probabilities [..., V] that sum to 1, the smallest of them raised to `TINY` before."""
    p = p.clip(min=TINY)
    return p / p.sum(-1, keepdims=True)


def _beside(values, array: np.ndarray):
    """An array as what `values` are: an array, or a tensor on the same device."""
    if isinstance(values, np.ndarray):
        return array
    import torch  # planning imports this module

    return torch.from_numpy(array).to(values.device)
