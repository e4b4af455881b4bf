"""BERT, as in transformers, for masked tokens only."""

from math import ceil

from torch import Tensor
from transformers import BertConfig, BertForMaskedLM

from noiselab.models.attention import IMPLEMENTATION

PADDING = 64  # the model's vocabulary is a multiple of this, for speed on GPUs


class MaskedBERT(BertForMaskedLM):
    """BERT whose head works where it is asked to, which is at one token in seven."""

    def forward(self, input_ids: Tensor, places: Tensor) -> Tensor:
        """Logits [n, m, V] at `places`, int64 [n, m], of windows of tokens int64 [n, T]."""
        states = self.bert(input_ids).last_hidden_state
        wanted = places[..., None].expand(-1, -1, states.shape[-1])
        return self.cls(states.gather(1, wanted))


def bert(
    vocabulary: int,
    context: int,
    layers: int,
    heads: int,
    width: int,
    dropout: float,
    initial_std: float = 0.02,
) -> MaskedBERT:
    """BERT (Devlin et al. 2019) with tied embeddings, without segments and next sentences.

    Tokens are numbers below `vocabulary`; `vocabulary` itself stands for a masked one. What is
    embedded is padded to a multiple of 64 (50,258 to 50,304). The layers between are four times as
    wide. initial_std: standard deviation of the first weights, BERT's by default.
    """
    config = BertConfig(
        vocab_size=ceil((vocabulary + 1) / PADDING) * PADDING,
        max_position_embeddings=context,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        hidden_size=width,
        intermediate_size=4 * width,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        initializer_range=initial_std,
        type_vocab_size=1,
        attn_implementation=IMPLEMENTATION,
        pad_token_id=None,  # or token 0 would have no embedding
    )
    return MaskedBERT(config)
