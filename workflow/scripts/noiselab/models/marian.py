"""The encoder-decoder Transformer of Marian, as in transformers (Appendix K.2)."""

from typing import NamedTuple

from torch import Tensor
from transformers import MarianConfig, MarianMTModel, PreTrainedModel

from noiselab.models.attention import IMPLEMENTATION


class Symbols(NamedTuple):
    """Token ids with a meaning of their own."""

    padding: int
    begin: int
    end: int


class AtPositions:
    """Logits where they are wanted alone: a third of a batch is padding, and the output layer is
    most of the work of a small network, or of a large vocabulary."""

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        kept: Tensor | None = None,
        **kwargs,
    ):
        """transformers' own, but with `kept`, bool [n, T]: logits [positions that are kept, V]."""
        given = {"attention_mask": attention_mask, "decoder_input_ids": decoder_input_ids}
        if kept is None:
            return super().forward(input_ids, **given, **kwargs)
        states = self.model(input_ids, **given, **kwargs)[0]
        return self.lm_head(states[kept])  # their final_logits_bias is 0, as nothing trains it


class Marian(AtPositions, MarianMTModel):
    """Normalised after each branch."""


def marian(
    vocabulary: int,
    positions: int,
    symbols: Symbols,
    layers: int,
    heads: int,
    width: int,
    feedforward: int,
    dropout: float,
    shared_embeddings: bool,
    norm: str = "post",
) -> PreTrainedModel:
    """Encoder and decoder of `layers` each: ReLU, sinusoidal positions.

    Sources int64 [n, S] and decoder inputs int64 [n, T] in, S and T at most `positions`; logits
    [n, T, vocabulary] out, or those of the positions `kept`. Embeddings of source, target and
    output are separate unless `shared_embeddings`. norm: `post`, layers are normalised after each
    branch, as the paper has it, or `pre`, before it and once more at the end, with which small
    networks learn faster (Xiong et al. 2020): transformers has that as Pegasus.
    """
    settings = {
        "vocab_size": vocabulary,
        "d_model": width,
        **{f"{side}_layers": layers for side in ("encoder", "decoder")},
        **{f"{side}_attention_heads": heads for side in ("encoder", "decoder")},
        **{f"{side}_ffn_dim": feedforward for side in ("encoder", "decoder")},
        "dropout": dropout,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "activation_function": "relu",
        "scale_embedding": True,
        "init_std": width**-0.5,  # scaled embeddings of unit variance, as positions have
        "max_position_embeddings": positions,
        "tie_word_embeddings": shared_embeddings,
        "attn_implementation": IMPLEMENTATION,
        "use_cache": False,  # for decoding only
        "pad_token_id": symbols.padding,
        "bos_token_id": symbols.begin,
        "decoder_start_token_id": symbols.begin,
        "eos_token_id": symbols.end,
        "forced_eos_token_id": None,
    }
    if norm == "pre":
        return _pre_norm(settings)
    settings["share_encoder_decoder_embeddings"] = shared_embeddings
    return Marian(MarianConfig(**settings))


def _pre_norm(settings: dict) -> PreTrainedModel:
    """Pegasus, imported only where it is wanted. Where its embeddings are separate, nothing reads
    the table that they would share; it becomes the encoder's, as weights without gradients stop
    trainings of several processes."""
    from transformers import PegasusConfig, PegasusForConditionalGeneration

    class Pegasus(AtPositions, PegasusForConditionalGeneration):
        """Normalised before each branch."""

    model = Pegasus(PegasusConfig(**settings))
    if not settings["tie_word_embeddings"]:
        model.model.shared = model.model.encoder.embed_tokens
    return model
