"""Training windows where whole stretches are noise (noise/corruptions/stretches.py)."""

import numpy as np
import torch

from noiselab import streams
from noiselab.data.batches import TokenBatches
from noiselab.noise.corruptions.stretches import NoiseText
from noiselab.noise.registry import CORRUPTIONS, corruption
from noiselab.run import Run
from noiselab.training.loop import Batch

TEXT = "noise-text"  # stream of what is drawn once
UNSEEN = 2**40  # positions of the stream from here on are of no training


def token_batches(run: Run, tokens: np.ndarray, device: torch.device) -> TokenBatches:
    """The training windows of a language model, by what its noise is of. tokens: int [N]."""
    of_windows = CORRUPTIONS[run.corruption].target == NoiseText.target
    return (StretchBatches if of_windows else TokenBatches)(run, tokens, device)


class NoiseWindows:
    """Windows of the noise text of a run, each a pure function of the seed and its place.

    length: tokens of a window; count: of the noise text, which is as long as α asks for beside
    `clean` tokens.
    """

    def __init__(self, run: Run, clean: int):
        self.run, self.noise = run, corruption(run)
        self.length, self.count = run.model["context"] + 1, self.noise.text_tokens(clean)

    def at(self, v: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """int64 [n, length]. v: where each begins, as a share of the text, float [n]; positions: of
        the windows in the stream of training windows, int [n], which matter to fresh noise: it is
        drawn anew for each."""
        if self.run.resample == "fresh":
            return self._drawn("fresh-noise-text", positions * self.length)
        last = self.count - self.length
        return self._drawn(TEXT, np.minimum(v * (last + 1), last).astype(np.int64))

    def part(self, start: int, stop: int) -> np.ndarray:
        """The tokens start … stop - 1 of a noise text that is drawn once, int64 [n]."""
        return self.noise.tokens(streams.uniform(self.run.seed, TEXT, start, stop))

    def _drawn(self, stream: str, places: np.ndarray) -> np.ndarray:
        ends = [(int(p), int(p) + self.length) for p in places]
        u = [streams.uniform(self.run.seed, stream, *both) for both in ends]
        return self.noise.tokens(np.array(u).reshape(len(places), self.length))

    def sample(self, count: int, *, unseen: bool = False) -> np.ndarray:
        """Windows at random places, int64 [count, length]: of the text that is trained on, or of
        one that is not. Fresh noise is never the same, so that both are alike."""
        v = streams.uniform(self.run.seed, "noise-evaluation", 0, count)
        positions = UNSEEN + np.arange(count)
        if unseen:
            return self._drawn("unseen-noise-text", positions * self.length)
        return self.at(v, positions)


class StretchBatches(TokenBatches):
    """Windows of clean text and of noise text, drawn from both by their shares, as they would be
    from one text after the other. Those of clean text are the same at each share of noise."""

    def __init__(self, run: Run, tokens: np.ndarray, device: torch.device):
        super().__init__(run, tokens, device)
        self.stretches = NoiseWindows(run, len(tokens))

    def __call__(self, start: int, stop: int) -> Batch:
        """Windows at positions start … stop - 1: inputs and targets int64 [n, context]; all targets
        of noise count as corrupted."""
        text, noisy = self.windows(start, stop)
        inputs, targets = text[:, :-1], text[:, 1:]
        corrupted = np.repeat(noisy[:, None], self.context, axis=1)
        return Batch(*map(self._to_device, (inputs, targets, corrupted)))

    def windows(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Windows int64 [n, context + 1], and which are noise, bool [n]."""
        u = streams.uniform(self.run.seed, "stretches", start, stop)
        noisy, v = self.noise.chosen(u)
        places = self.places(start, stop)
        text = self.tokens[places[:, None] + np.arange(self.context + 1)].astype(np.int64)
        if noisy.any():
            positions = np.arange(start, stop)
            text[noisy] = self.stretches.at(v[noisy], positions[noisy])
        return text, noisy
