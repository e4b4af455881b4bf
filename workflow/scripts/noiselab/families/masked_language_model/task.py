"""The family of masked language models: BERT on token sequences."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from noiselab import streams
from noiselab.data import text
from noiselab.data.masked import Masked, MaskedBatches, evaluation_masks, predicted
from noiselab.data.stretches import StretchBatches
from noiselab.errors import NoiselabError
from noiselab.families.language_model.family import data_mistake
from noiselab.families.language_model.task import EVALUATION_SIZE, curve_texts
from noiselab.families.work import Data
from noiselab.models.bert import MaskedBERT, bert
from noiselab.models.settings import network_settings
from noiselab.run import Run
from noiselab.training.loop import Batch, Task


def task(run: Run, device: torch.device) -> Task:
    """Everything that the training loop needs for one run."""
    described, train, validation = text.read(run.data)
    if mistake := data_mistake(run, described):
        raise NoiselabError(f"run {run.run_id}: {mistake}")
    batches, count = MaskedBatches(run, train, device), run.evaluation["curve_sequences"]
    # A glance for the learning curve; all of it is scored after training.
    seen = {
        name: whole_windows(run, name, tokens)[:count]
        for name, tokens in curve_texts(run, validation).items()
    }
    if isinstance(batches.text, StretchBatches):
        seen["noise"] = batches.text.stretches.sample(count)[:, 1:]
    seen = {name: evaluation_masks(run, name, windows) for name, windows in seen.items()}

    def evaluate(model: nn.Module) -> dict[str, float]:
        nll = {name: masked_nll(model, part, device) for name, part in seen.items()}
        return {f"{name}_nll": float(values.mean()) for name, values in nll.items()}

    return Task(model=build(run), batch=batches, loss=loss, evaluate=evaluate)


def build(run: Run) -> MaskedBERT:
    """The run's model with its initial weights, a function of the seed alone. Its vocabulary is
    padded; noise is drawn from the real one."""
    torch.manual_seed(streams.integer(run.seed, "weights", 0))
    return bert(run.vocabulary, **network_settings(bert, run.model))


def example(run: Run, data: Data) -> tuple[nn.Module, tuple, dict]:
    """The network and the arguments of its forward pass for one window, without content."""
    length = run.model["context"]
    tokens = torch.empty(1, length, dtype=torch.long)
    places = torch.empty(1, predicted(length, run.mask_share), dtype=torch.long)
    return build(run), (tokens, places), {}


def loss(model: nn.Module, batch: Batch) -> Tensor:
    """Mean cross-entropy in nats per predicted token."""
    logits = model(*batch.inputs)
    return cross_entropy(logits.flatten(0, 1).float(), batch.targets.flatten())


# --------------------------------------------------------------------------- evaluation


def whole_windows(run: Run, name: str, tokens: np.ndarray) -> np.ndarray:
    """A text cut into windows of `context` tokens, int64 [n, context]; what is left at its end is
    left out. NoiselabError: it is shorter than a window."""
    context = run.model["context"]
    count = len(tokens) // context
    if count == 0:
        raise NoiselabError(
            f"run {run.run_id}: model.context: {context} tokens are more than the {len(tokens)} of "
            f"the text {name}"
        )
    return np.asarray(tokens[: count * context], dtype=np.int64).reshape(count, context)


@torch.no_grad()
def masked_nll(model: nn.Module, windows: Masked, device: torch.device) -> np.ndarray:
    """NLL of every predicted token in nats, float64 [n, m]."""
    count, width = windows.places.shape
    size = max(1, EVALUATION_SIZE // (model.config.vocab_size * width))
    parts = []
    for start in range(0, count, size):
        part = (torch.from_numpy(a[start : start + size]).to(device) for a in windows)
        inputs, places, tokens = part
        logits = model(inputs, places).float().transpose(1, 2)
        parts.append(cross_entropy(logits, tokens, reduction="none"))
    return torch.cat(parts).double().cpu().numpy()
