"""Attention of transformers' models: PyTorch's, and its parts where these are faster."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

IMPLEMENTATION = "parts_on_cpu"  # `attn_implementation` of a model's configuration
NARROW = 16  # width of a head below which PyTorch's fused attention is slower on a CPU


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **others,
) -> tuple[Tensor, None]:
    """What transformers asks of an attention: query [n, heads, T, d], key and value
    [n, heads, S, d] in, [n, T, heads, d] out. The mask is bool, true where a key is seen, or what
    is added to the scores.

    On a CPU in bf16 the backward pass of PyTorch's fused attention takes three to five times as
    long as products of matrices, which such CPUs have instructions for; in single precision heads
    of width 5 take half as long again as those of width 16, so narrow ones get columns of zeros.
    """
    width = query.shape[-1]
    if query.device.type == "cpu" and query.dtype == torch.float32 and width < NARROW:
        wider = [pad(part, (0, NARROW - width)) for part in (query, key, value)]
        found, _ = sdpa_attention_forward(
            module, *wider, attention_mask, dropout, scaling or width**-0.5, is_causal, **others
        )
        return found[..., :width], None
    if query.device.type != "cpu" or query.dtype != torch.bfloat16 or dropout:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, is_causal, **others
        )
    causal = module.is_causal if is_causal is None else is_causal
    scores = (query * (scaling or query.shape[-1] ** -0.5)) @ key.transpose(-1, -2)
    if attention_mask is None and causal and query.shape[2] > 1:
        attention_mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if attention_mask is not None and attention_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attention_mask, float("-inf"))
    elif attention_mask is not None:
        scores = scores + attention_mask
    return (scores.softmax(-1) @ value).transpose(1, 2).contiguous(), None


AttentionInterface.register(IMPLEMENTATION, attention)
AttentionMaskInterface.register(IMPLEMENTATION, sdpa_mask)
