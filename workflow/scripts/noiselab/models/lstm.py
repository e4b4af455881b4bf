"""LSTM language models: recurrent, without attention."""

from math import ceil
from types import SimpleNamespace

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput

from noiselab.models.gpt2 import PADDING


class LSTM(nn.Module):
    """Embedding, LSTM layers and logits by the same embedding (Press and Wolf 2017), with the
    interface of transformers' causal language models. A window begins with states of zero.

    Tokens int64 [n, T] in, logits [n, T, padded vocabulary] out.
    """

    def __init__(self, vocabulary: int, layers: int, width: int, initial_std: float):
        super().__init__()
        self.config = SimpleNamespace(vocab_size=vocabulary)
        self.embedding = nn.Embedding(vocabulary, width)
        self.layers = nn.LSTM(width, width, layers, batch_first=True)
        nn.init.normal_(self.embedding.weight, std=initial_std)
        with torch.no_grad():
            for name, bias in self.layers.named_parameters():
                if name.startswith("bias_ih"):
                    bias[width : 2 * width] = 1.0  # keep what is known (Jozefowicz et al. 2015)
                elif name.startswith("bias"):
                    bias.zero_()

    def base_model(self, tokens: Tensor) -> BaseModelOutput:
        """Last hidden states [n, T, width]."""
        states, _ = self.layers(self.embedding(tokens))
        return BaseModelOutput(last_hidden_state=states)

    def forward(self, tokens: Tensor) -> CausalLMOutput:
        states = self.base_model(tokens).last_hidden_state
        return CausalLMOutput(logits=states @ self.embedding.weight.T)


def lstm(vocabulary: int, context: int, layers: int, width: int, initial_std: float = 0.1) -> LSTM:
    """An LSTM of `layers` layers. The vocabulary is padded as GPT-2's is; context: tokens of a
    window, which changes no weight. initial_std: standard deviation of the first embeddings."""
    return LSTM(ceil(vocabulary / PADDING) * PADDING, layers, width, initial_std)
