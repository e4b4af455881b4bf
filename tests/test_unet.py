"""The U-Net of the diffusion family."""

import math

import pytest
import torch

from noiselab.errors import NoiselabError
from noiselab.models.unet import Block, Embedding, unet

SMALL = {"width": 16, "multipliers": (1, 2), "blocks": 1, "attention": (4,)}


def inputs(channels=1, classes=3, size=8, n=4):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(n, channels, size, size, generator=generator)
    return images, torch.linspace(-1.5, 1, n), torch.eye(classes)[torch.arange(n) % classes]


def shuffled(**settings):
    """A small network with random weights, in evaluation: as built, its result is zero."""
    torch.manual_seed(0)
    network = unet(1, 3, 8, **{**SMALL, **settings}).eval()
    with torch.no_grad():
        for p in network.parameters():
            p += 0.1 * torch.randn_like(p)
    return network


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def test_default_has_the_papers_15_7_million_parameters():
    assert parameters(unet(3, 10, 32)) == 15_708_291
    assert parameters(unet(3, 100, 32)) == 15_708_291 + 90 * 96  # a label embedding per class
    assert parameters(unet(3, 10, 32)) / 1e6 == pytest.approx(15.7, rel=0.02)


@pytest.mark.parametrize(
    ("size", "multipliers"), [(8, (1, 2)), (12, (1, 2, 2)), (16, (1,)), (32, (1, 2, 2))]
)
def test_result_has_the_shape_of_the_images_and_starts_at_zero(size, multipliers):
    network = unet(3, 5, size, width=8, multipliers=multipliers, attention=(size // 2,))
    result = network(*inputs(channels=3, classes=5, size=size))
    assert result.shape == (4, 3, size, size)
    assert not result.any()


@pytest.mark.parametrize(("attend", "sums"), [(False, 1), (True, 2)])
def test_a_new_block_is_its_input_times_the_root_of_a_half_per_sum(attend, sums):
    block = Block(16, 16, embedding=32, dropout=0.0, attend=attend)
    x = torch.randn(2, 16, 4, 4)
    torch.testing.assert_close(block(x, torch.randn(2, 32)), x * 0.5 ** (sums / 2))


def test_embedding_has_wave_lengths_from_1_to_10000_and_labels_of_unit_size():
    embedding = Embedding(8, 5)
    embedding.layers = torch.nn.Identity()
    label = embedding.label.weight.T * math.sqrt(5)  # biases start at zero
    angles = torch.tensor([[1.0, 10 ** (-4 / 3), 10 ** (-8 / 3), 1e-4]]) * 0.7
    expected = torch.cat([angles.cos(), angles.sin()], dim=1) + label
    torch.testing.assert_close(embedding(torch.full((5,), 0.7), torch.eye(5)), expected)


def test_every_weight_gets_a_gradient():
    network = shuffled()
    network(*inputs()).square().sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize("changed", ["x", "c_noise", "condition"])
def test_each_input_matters_for_its_own_image_only(changed):
    network, (x, c_noise, condition) = shuffled(), inputs()
    before = network(x, c_noise, condition)
    other = {
        "x": (x + torch.tensor([0.5, 0, 0, 0])[:, None, None, None], c_noise, condition),
        "c_noise": (x, c_noise + torch.tensor([0.5, 0, 0, 0]), condition),
        "condition": (x, c_noise, torch.cat([condition[1:2], condition[1:]])),
    }
    after = network(*other[changed])
    assert (after - before)[0].abs().max() > 1e-3
    torch.testing.assert_close(after[1:], before[1:], rtol=1e-4, atol=1e-5)


def test_attention_lets_every_pixel_see_every_other():
    def reach(attention):
        network = unet(1, 3, 32, width=8, multipliers=(1,), blocks=1, attention=attention)
        network.centre[0].attention = torch.nn.Identity()  # the one that is always there
        with torch.no_grad():
            for p in network.parameters():
                p += 0.1 * torch.randn_like(p)
        x, c_noise, condition = inputs(size=32, n=1)
        # Group normalisation sees every pixel, too.
        for module in network.modules():
            if isinstance(module, torch.nn.GroupNorm):
                module.forward = lambda x: x
        x.requires_grad_()
        network.eval()(x, c_noise, condition)[0, 0, 0, 0].backward()
        return x.grad[0, 0, -1, -1].abs().item()

    torch.manual_seed(0)
    assert reach((32,)) > 0
    assert reach(()) == 0


def test_dropout_is_for_training_only():
    network, batch = shuffled(dropout=0.5), inputs()
    assert torch.equal(network(*batch), network(*batch))
    network.train()
    assert not torch.equal(network(*batch), network(*batch))


def test_memory_format_does_not_change_the_result():
    network, (x, *rest) = shuffled(multipliers=(1, 2, 2), attention=(8, 2)), inputs()
    plain = network(x, *rest)
    turned = network.to(memory_format=torch.channels_last)
    result = turned(x.contiguous(memory_format=torch.channels_last), *rest)
    torch.testing.assert_close(result, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [9, 10])
def test_a_size_that_cannot_be_halved_is_refused_in_one_line(size):
    with pytest.raises(NoiselabError, match=f"divides by 4, not {size}$") as error:
        unet(1, 3, size, width=8, multipliers=(1, 2, 2))
    assert "\n" not in str(error.value)
