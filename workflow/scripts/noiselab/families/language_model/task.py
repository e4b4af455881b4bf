"""The language-model family: GPT-2, or an LSTM, on token sequences."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from noiselab import streams
from noiselab.data import text
from noiselab.data.stretches import StretchBatches, token_batches
from noiselab.errors import NoiselabError
from noiselab.families.language_model.family import data_mistake
from noiselab.families.work import Data
from noiselab.models.gpt2 import gpt2
from noiselab.models.lstm import lstm
from noiselab.models.settings import network_settings
from noiselab.noise.base import Corruption
from noiselab.run import Run
from noiselab.training.input_noise import Tokens, with_input_noise
from noiselab.training.loop import Batch, Task

# Name in the configuration -> (vocabulary, **settings) to a network: tokens int64 [n, T] in, logits
# [n, T, padded vocabulary] out, as transformers' models give them.
MODELS: dict[str, Callable[..., nn.Module]] = {"gpt2": gpt2, "lstm": lstm}
TOKEN_SCORES = ("nll", "mean_nll", "floor_nll", "floor_mean_nll", "denoised_nll")
EVALUATION_SIZE = 2**21  # probabilities per forward pass of an evaluation, 17 MB in float64


def task(run: Run, device: torch.device) -> Task:
    """Everything that the training loop needs for one run."""
    described, train, validation = text.read(run.data)
    if mistake := data_mistake(run, described):
        raise NoiselabError(f"run {run.run_id}: {mistake}")
    batches = token_batches(run, train, device)
    # A glance for the learning curve; all of it is scored after training.
    count, context = run.evaluation["curve_sequences"], run.model["context"]
    seen = {
        f"{name}_nll": list(islice(validation_windows(tokens, context), count))
        for name, tokens in curve_texts(run, validation).items()
    }
    if isinstance(batches, StretchBatches):
        seen["noise_nll"] = list(batches.stretches.sample(count))

    def evaluate(model: nn.Module) -> dict[str, float]:
        nll = {name: sequence_nll(model, part, device) for name, part in seen.items()}
        return {name: float(values.mean()) for name, values in nll.items()}

    plain = Task(model=build(run), batch=batches, loss=loss, evaluate=evaluate)
    return with_input_noise(plain, run, Tokens(run.vocabulary, context))


def curve_texts(run: Run, validation: np.ndarray) -> dict[str, np.ndarray]:
    """Name -> tokens of the texts that the learning curve is of: the validation split, and those
    out of the domain where the data set asks for these."""
    outside = run.get("domain_curves", ())
    files = {domain: Path(run.data, f"{domain}.npy") for domain in outside}
    return {"validation": validation} | {name: text.mapped(file) for name, file in files.items()}


def build(run: Run) -> nn.Module:
    """The run's model with its initial weights, a function of the seed alone. Its vocabulary is
    padded; noise is drawn from the real one."""
    torch.manual_seed(streams.integer(run.seed, "weights", 0))
    network = MODELS[run.model["name"]]
    return network(run.vocabulary, **network_settings(network, run.model))


def example(run: Run, data: Data) -> tuple[nn.Module, tuple, dict]:
    """The network and the arguments of its forward pass for one window, without content. GPT-2's
    mask is given whole, for transformers would look into it."""
    length = run.model["context"]
    tokens = torch.empty(1, length, dtype=torch.long)
    if run.model["name"] != "gpt2":
        return build(run), (tokens,), {}
    mask = torch.empty(1, 1, length, length, dtype=torch.bool)
    return build(run), (tokens,), {"attention_mask": mask}


def loss(model: nn.Module, batch: Batch) -> Tensor:
    """Mean cross-entropy in nats per token against the targets as given, corrupted or not."""
    logits = model(batch.inputs).logits
    return cross_entropy(logits.flatten(0, 1).float(), batch.targets.flatten())


# --------------------------------------------------------------------------- evaluation


def validation_windows(tokens: np.ndarray, context: int) -> Iterator[np.ndarray]:
    """Cut a text into windows of context + 1 tokens that overlap by one, so that each token but
    the first is predicted once; the last window may be shorter. int64 [at most context + 1]."""
    for start in range(0, len(tokens) - 1, context):
        yield np.asarray(tokens[start : start + context + 1], dtype=np.int64)


def random_windows(run: Run, tokens: np.ndarray, stream: str, count: int) -> list[np.ndarray]:
    """`count` windows of context + 1 tokens at random places of a text."""
    context = run.model["context"]
    u = streams.uniform(run.seed, stream, 0, count)
    places = (u * (len(tokens) - context)).astype(np.int64)
    return [np.asarray(tokens[p : p + context + 1], dtype=np.int64) for p in places]


def batches_of_windows(
    windows: list[np.ndarray], vocabulary: int, device: torch.device
) -> Iterator[Tensor]:
    """Windows of equal length stacked, int64 [n, length], as many as memory allows."""
    per_batch = max(1, EVALUATION_SIZE // (vocabulary * len(windows[0])))
    while windows:
        length = len(windows[0])
        batch = [w for w in windows[:per_batch] if len(w) == length]
        windows = windows[len(batch) :]
        yield torch.from_numpy(np.stack(batch)).to(device)


@torch.no_grad()
def sequence_nll(model: nn.Module, windows: list[np.ndarray], device: torch.device) -> np.ndarray:
    """NLL of every predicted token in nats, float64 [tokens], in the order of the windows."""
    parts = []
    for batch in batches_of_windows(windows, model.config.vocab_size, device):
        logits = model(batch[:, :-1]).logits.float()
        parts.append(cross_entropy(logits.transpose(1, 2), batch[:, 1:], reduction="none"))
    return torch.cat([part.flatten() for part in parts]).double().cpu().numpy()


@torch.no_grad()
def token_scores(
    model: nn.Module,
    windows: list[np.ndarray],
    noise: Corruption,
    vocabulary: int,
    device: torch.device,
    names: Sequence[str] = TOKEN_SCORES,
) -> dict[str, np.ndarray]:
    """Scores of every predicted token in nats, each float64 [tokens]; `names`: those wanted.

    nll: of the true token; mean_nll: mean over what it becomes if it is corrupted; floor_nll,
    floor_mean_nll: the same for the model's distribution *after* this noise (what a calibrated
    noisy model would predict, if this is the clean model); denoised_nll: after taking this noise
    *out* (if this is the noisy model), where that can be.
    """
    scores: dict[str, list] = {name: [] for name in names}
    for batch in batches_of_windows(windows, vocabulary, device):
        logits = model(batch[:, :-1]).logits.double()
        log_p, true = logits.log_softmax(-1)[..., :vocabulary], batch[:, 1:, None]
        for name in names:
            scores[name].append(-_log_probability(name, log_p, true, noise).flatten())
    return {name: torch.cat(parts).cpu().numpy() for name, parts in scores.items()}


def _log_probability(name: str, log_p: Tensor, true: Tensor, noise: Corruption) -> Tensor:
    """Of the true token, or its mean over wrong ones, [...]. log_p: [..., V]; true: [..., 1].

    Only what the score needs: for a small network, passes over the vocabulary in double
    precision are most of an evaluation.
    """
    match name:
        case "nll":
            return log_p.gather(-1, true)
        case "mean_nll":
            return noise.wrong_mean(log_p, true)
        case "floor_nll":
            return noise.observed_tokens(log_p, true).log()
        case "floor_mean_nll":
            return noise.wrong_mean(noise.observed(log_p.exp()).log(), true)
        case "denoised_nll":
            return noise.denoised(log_p.exp()).gather(-1, true).log()
    raise ValueError(name)


@torch.no_grad()
def sequence_losses(
    model: nn.Module, run: Run, tokens: np.ndarray, count: int, device: torch.device
) -> np.ndarray:
    """Training loss in nats of `count` sequences of the training text, float64 [count].

    With the run's own noise, drawn from streams that the training did not use (Appendix N).
    """
    unseen = run | {"seed": run.seed + 1_000_003}
    batches = token_batches(unseen, tokens, device)
    vocabulary, context = model.config.vocab_size, run.model["context"]
    size = max(1, EVALUATION_SIZE // (vocabulary * context))
    parts = []
    for start in range(0, count, size):
        batch = batches(start, min(start + size, count))
        logits = model(batch.inputs).logits.float().transpose(1, 2)
        parts.append(cross_entropy(logits, batch.targets, reduction="none").double().mean(1))
    return torch.cat(parts).cpu().numpy()
