"""GPT-2, as in transformers."""

from math import ceil

from transformers import GPT2Config, GPT2LMHeadModel

from noiselab.models.attention import IMPLEMENTATION

PADDING = 64  # the model's vocabulary is a multiple of this, for speed on GPUs


def gpt2(
    vocabulary: int, context: int, layers: int, heads: int, width: int, initial_std: float = 0.02
) -> GPT2LMHeadModel:
    """GPT-2 with tied embeddings and no dropout: tokens int64 [n, T] in, T at most `context`.

    The vocabulary is padded to a multiple of 64 (50,257 to 50,304), so the logits are
    [n, T, padded]. initial_std: standard deviation of the first weights, GPT-2's by default; the
    last map of each branch starts narrower, by the square root of the number of branches.
    """
    config = GPT2Config(
        vocab_size=ceil(vocabulary / PADDING) * PADDING,
        n_positions=context,
        n_layer=layers,
        n_head=heads,
        n_embd=width,
        initializer_range=initial_std,
        activation_function="gelu_pytorch_tanh",  # `gelu_new`, in one operation
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        attn_implementation=IMPLEMENTATION,
        use_cache=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    return GPT2LMHeadModel(config)
