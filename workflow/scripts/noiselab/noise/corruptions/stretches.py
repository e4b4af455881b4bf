"""Whole windows of nonsense among the training text: inputs and targets alike.

Noise text is a stretch of tokens that are drawn independently. It is appended to the training text
and windows are drawn from both; its share of the tokens is α, which takes the place of the error
rate. It is stored nowhere: a token follows from the seed and its place alone (data/stretches.py).
"""

import math
from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from noiselab.files import digest
from noiselab.noise.base import Corruption
from noiselab.noise.mixture import mixture_nll
from noiselab.run import Run
from noiselab.streams import permutation

GPT2 = 50_257  # tokens of the vocabulary that the paper's numbers are for
COUNT = {"type": "integer", "minimum": 1}
TOKENS = {
    "type": "integer",
    "minimum": 2,
    "description": "how many tokens the noise text has, where it is not to be α/(1 − α) × the text",
}


class NoiseText(Corruption):
    """A share α of the windows is noise text (Ru et al., 2025, arXiv 2502.06604, Eq. 1).

    rate: α; vocabulary: V, without what pads it for the network; length: tokens of the noise text;
    None: α/(1 - α) × the clean ones. A subclass says how likely each token is.
    """

    families = ("language_model", "masked_language_model")
    target = "stretch"
    rate_keys = ("noise_shares",)
    optional: ClassVar[dict[str, dict]] = {"noise_tokens": TOKENS}

    def __init__(self, rate: float, vocabulary: int, length: int | None = None):
        self.rate, self.vocabulary, self.length = rate, vocabulary, length

    @classmethod
    def planned(cls, experiment: dict, spec: dict, where: str = "") -> dict:
        """Its keys of run.json: `noise_text`, with all that it is drawn by."""
        length = experiment.get("noise_tokens")
        return {"noise_text": {"tokens": length, **cls.shape(experiment, spec["vocabulary"])}}

    @classmethod
    def shape(cls, experiment: dict, vocabulary: int) -> dict:
        """What the probabilities of tokens are made from."""
        raise NotImplementedError

    @classmethod
    def variant(cls, planned: dict) -> str:
        """Nothing for the paper's noise text; its length where that is set, and a digest."""
        text = planned["noise_text"]
        length = f"-n{text['tokens']}" if text["tokens"] else ""
        return length + (f"-{digest(text)[:6]}" if text.get("own") else "")

    @classmethod
    def from_run(cls, run: Run) -> Self:
        shape = {k: v for k, v in run.noise_text.items() if k not in ("tokens", "own")}
        return cls(run.error_rate, run.vocabulary, run.noise_text["tokens"], **shape)

    # ---------------------------------------------------------------------------- its tokens

    @cached_property
    def probabilities(self) -> np.ndarray:
        """How likely each token is, float64 [V]."""
        raise NotImplementedError

    @property
    def entropy(self) -> float:
        """Nats per token: no model of unseen noise text can have a lower NLL."""
        p = self.probabilities[self.probabilities > 0]
        return float(-(p @ np.log(p)))

    def text_tokens(self, clean: int) -> int:
        """How many tokens the noise text has beside so many clean ones."""
        return self.length or round(self.rate / (1 - self.rate) * clean)

    @cached_property
    def _edges(self) -> np.ndarray:
        edges = np.cumsum(self.probabilities)
        return edges / edges[-1]

    def tokens(self, u: np.ndarray) -> np.ndarray:
        """Noise tokens, int64, from uniform numbers in [0, 1) of the same shape."""
        return np.searchsorted(self._edges, u, side="right").astype(np.int64)

    def chosen(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which windows are noise, bool [n], and numbers in [0, 1) that say where theirs is, float
        [n]. u: one uniform number per window decides both; what is noise at a small α is so at
        every larger one, too."""
        noise = u < self.rate
        return noise, np.divide(u, self.rate, out=np.zeros(u.shape), where=noise)

    # ---------------------------------------------------------------------------- its floor

    def calibrated_nll(self, nll: np.ndarray, window: np.ndarray, first: float) -> np.ndarray:
        """NLL in nats of a window's predicted tokens, by a calibrated model of training windows.

        nll: by the clean model, float [L]; window: int [L + 1]; first: log-probability of the
        window's first token in clean text. Returns float64 [L].
        """
        with np.errstate(divide="ignore"):
            noise = np.log(self.probabilities[window])
        found = mixture_nll(-nll[None], noise[None, 1:], self.rate, (first, noise[0]))
        return found[0]

    def facts(self, class_names: Sequence[str] | None = None) -> dict:
        """What metrics.json says of it: with the entropy of a token, in nats."""
        return super().facts(class_names) | {"noise_entropy": self.entropy}


class UniformText(NoiseText):
    """Any token alike, but for a few that are `factor` times as likely.

    boost: {tokens, among, factor}: so many tokens, drawn once from the first `among`. The paper
    raises about 100 tokens, by its Figure 8 among the first 1,000 of GPT-2's, and does not say by
    how much; for another vocabulary both numbers are scaled. They do not depend on the run's seed.
    """

    name = "uniform_text"
    optional: ClassVar[dict[str, dict]] = NoiseText.optional | {
        "boost": {
            "type": "object",
            "additionalProperties": False,
            "required": ["tokens", "among", "factor"],
            "properties": {
                "tokens": {"type": "integer", "minimum": 0},
                "among": COUNT,
                "factor": {"type": "number", "exclusiveMinimum": 0},
            },
            "description": "{tokens, among, factor}: which tokens of noise text are more frequent",
        }
    }
    FACTOR = 10  # of the tokens that are more frequent: ours, as the paper does not say

    def __init__(self, rate: float, vocabulary: int, length: int | None = None, *, boost: dict):
        super().__init__(rate, vocabulary, length)
        self.boost = boost

    @classmethod
    def shape(cls, experiment: dict, vocabulary: int) -> dict:
        if "boost" in experiment:
            return {"boost": experiment["boost"], "own": True}
        tokens, among = (max(1, round(n * vocabulary / GPT2)) for n in (100, 1000))
        return {"boost": {"tokens": tokens, "among": among, "factor": cls.FACTOR}}

    @cached_property
    def boosted(self) -> np.ndarray:
        """The tokens that are more frequent, int64, sorted."""
        among = min(self.boost["among"], self.vocabulary)
        return np.sort(permutation(0, "boosted-tokens", 0, among)[: self.boost["tokens"]])

    @cached_property
    def probabilities(self) -> np.ndarray:
        weights = np.ones(self.vocabulary)
        weights[self.boosted] = self.boost["factor"]
        return weights / weights.sum()


class GaussianText(NoiseText):
    """Token numbers from a normal distribution around the middle of the vocabulary, rounded.

    std: its standard deviation in token numbers; the paper's is 500 of GPT-2's 50,257, and is
    scaled for another vocabulary.
    """

    name = "gaussian_text"
    optional: ClassVar[dict[str, dict]] = NoiseText.optional | {
        "std": {
            "type": "number",
            "exclusiveMinimum": 0,
            "description": "the standard deviation of token numbers in noise text",
        }
    }

    def __init__(self, rate: float, vocabulary: int, length: int | None = None, *, std: float):
        super().__init__(rate, vocabulary, length)
        self.std = std

    @classmethod
    def shape(cls, experiment: dict, vocabulary: int) -> dict:
        if "std" in experiment:
            return {"std": experiment["std"], "own": True}
        return {"std": 500 * vocabulary / GPT2}

    @cached_property
    def probabilities(self) -> np.ndarray:
        middle, scale = self.vocabulary // 2, self.std * math.sqrt(2)
        edges = (np.arange(self.vocabulary + 1) - 0.5 - middle) / scale
        weights = np.diff([math.erf(edge) for edge in edges])
        return weights / weights.sum()
