"""A language model as a backbone: the last hidden states of prompts."""

from pathlib import Path

import torch
from torch import nn

from noiselab.data import pairs
from noiselab.families.backbones import Encoder, Network
from noiselab.families.language_model.task import build
from noiselab.run import Run
from noiselab.training.weights import load_weights


def texts(run: Run, weights: Path, device: torch.device) -> tuple[Encoder, Network]:
    """What makes tokens of prompts, and what makes last hidden states [n, T, d] of tokens int64
    [n, T]. NoiselabError: the weights are of another run, or do not fit."""
    encode, model = text_model(run, weights, device)
    return encode, lambda tokens: model.base_model(tokens).last_hidden_state


def text_model(run: Run, weights: Path, device: torch.device) -> tuple[Encoder, nn.Module]:
    """What makes tokens of prompts, and the model with its head. NoiselabError: as of `texts`."""
    model = load_weights(weights, build(run), device, run.run_id).eval()
    tokenizer, context = pairs.tokenizer(run.data), run.model["context"]

    def encode(prompts: list[str]) -> list[list[int]]:
        encoded = tokenizer.encode_batch_fast(prompts, add_special_tokens=False)
        return [last_tokens(one.ids, context) for one in encoded]

    return encode, model


def last_tokens(tokens: list[int], context: int) -> list[int]:
    """As many as a model sees: of a longer text the end, where the prompt asks for the class."""
    return tokens[-context:]
