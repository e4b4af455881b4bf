"""Attention in parts, and of narrow heads, is PyTorch's attention."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from noiselab.models.attention import attention
from noiselab.models.gpt2 import gpt2

N, HEADS, T, S = 3, 2, 9, 12
# Of bf16, whose numbers have eight bits, and of fp32; another mask changes half of what is found.
ROUNDING = {torch.bfloat16: 0.02, torch.float32: 1e-6}
PARTS, NARROW = (torch.bfloat16, 16), (torch.float32, 5)


def inputs(keys: int, dtype: torch.dtype, width: int) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(N, HEADS, length, width).to(dtype) for length in (T, keys, keys)]


def masks(keys: int) -> dict:
    """Kinds of mask; each query sees a key at least."""
    seen = torch.rand(N, 1, T, keys) < 0.6
    seen[..., 0] = True
    return {
        "none": (None, False),
        "causal": (None, True),
        "seen": (seen, False),
        "added": (torch.randn(N, 1, T, keys).bfloat16(), False),
    }


@pytest.mark.parametrize("kind", ["none", "causal", "seen", "added"])
@pytest.mark.parametrize("scaling", [None, 0.5])
@pytest.mark.parametrize(("dtype", "width"), [PARTS, NARROW])
def test_equal_to_pytorchs(kind, scaling, dtype, width):
    keys = T if kind == "causal" else S
    states, (mask, causal) = inputs(keys, dtype, width), masks(keys)[kind]
    mask = mask.to(dtype) if kind == "added" else mask
    found, _ = attention(SimpleNamespace(is_causal=causal), *states, mask, scaling=scaling)
    single = [state.float() for state in states]
    added = mask.float() if kind == "added" else mask
    expected = scaled_dot_product_attention(*single, added, is_causal=causal, scale=scaling)
    assert found.shape == expected.transpose(1, 2).shape
    difference = (found.float() - expected.transpose(1, 2)).norm()
    assert difference < ROUNDING[dtype] * expected.norm()


def test_no_token_sees_a_later_one_in_bf16():
    model = gpt2(50, context=8, layers=2, heads=2, width=16, initial_std=0.2)
    tokens = torch.randint(50, (1, 8))
    changed = tokens.clone()
    changed[0, 5:] = (changed[0, 5:] + 7) % 50
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        first, second = model(tokens).logits, model(changed).logits
    torch.testing.assert_close(first[:, :5], second[:, :5], rtol=0, atol=0)
    assert not torch.equal(first[:, 5:], second[:, 5:])


def test_gradients_are_those_of_single_precision_up_to_rounding():
    model = gpt2(50, context=8, layers=2, heads=2, width=16, initial_std=0.2)
    tokens = torch.randint(50, (4, 8))
    found = []
    for enabled in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits = model(tokens).logits.float()
        logits.logsumexp(-1).sum().backward()
        found.append(model.transformer.h[0].attn.c_attn.weight.grad.clone())
    assert (found[0] - found[1]).norm() < 0.03 * found[0].norm()
