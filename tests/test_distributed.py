"""Layers that several processes share, as one process sees them; two are in test_scripts.py."""

import copy

import pytest
import torch
from torch import nn

from noiselab.training import distributed

torch.set_num_threads(1)


def layer(kind):
    """As those of the fast network: there is nothing that hides a wrong variance."""
    normal = kind(3, momentum=0.4, eps=1e-12)
    with torch.no_grad():
        normal.weight.copy_(torch.tensor([1.0, 2.0, -1.0]))
        normal.bias.copy_(torch.tensor([0.0, 1.0, 3.0]))
    return normal.train()


@pytest.mark.parametrize(("kind", "shape"), [(nn.BatchNorm1d, ()), (nn.BatchNorm2d, (5, 4))])
@pytest.mark.parametrize(("mean", "spread"), [(0.0, 1.0), (1.0, 1e-3), (3.0, 1e-3)])
def test_a_shared_batch_norm_is_that_of_torch(kind, shape, mean, spread):
    x = mean + spread * torch.randn(64, 3, *shape, generator=torch.Generator().manual_seed(0))
    weights = torch.randn(64, 3, *shape, generator=torch.Generator().manual_seed(1))
    found = {}
    for name, of in (("torch", layer(kind).double()), ("ours", layer(kind))):
        model = nn.Sequential(of) if name == "torch" else shared(of)
        inputs = x.to(of.weight.dtype).requires_grad_()
        outputs = model(inputs)
        (outputs * weights).sum().backward()
        statistics = (of.running_mean, of.running_var, of.weight.grad, of.bias.grad)
        found[name] = [outputs.detach(), spread * inputs.grad, *statistics]
        found[name] += [model.eval()(x.to(of.weight.dtype)).detach()]
    for ours, exact in zip(found["ours"], found["torch"], strict=True):
        torch.testing.assert_close(ours.double(), exact.double(), rtol=3e-3, atol=3e-3)


def shared(of):
    return distributed._shared_batch_norm(nn.Sequential(of))


def test_it_is_exact_where_inputs_are_rounded_to_bf16():
    rounded = torch.randn(64, 3, 5, 4).bfloat16()
    plain = layer(nn.BatchNorm2d)
    model = shared(copy.deepcopy(plain))
    with torch.autocast("cpu", torch.bfloat16):
        found = model(rounded)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), plain(rounded.float()), rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(model[0].running_var, plain.running_var, rtol=1e-5, atol=1e-6)


def test_all_kinds_of_a_network_are_shared():
    model = distributed._shared_batch_norm(nn.Sequential(*map(layer, distributed.SHARED)))
    assert [type(part) for part in model] == list(distributed.SHARED.values())
