"""The U-Net of class-conditional diffusion: DDPM++ as in Karras et al. 2022, Table 7."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, scaled_dot_product_attention, silu

from noiselab.errors import NoiselabError

ROOT_HALF = math.sqrt(0.5)  # times a sum of two branches: keeps the variance of one


def unet(
    channels: int,
    classes: int,
    size: int,
    *,
    width: int = 96,
    multipliers: Sequence[int] = (1, 2, 2),
    blocks: int = 2,
    attention: Sequence[int] = (16,),
    dropout: float = 0.13,
) -> "UNet":
    """U-Net for images [n, channels, size, size], 15.7 million parameters by default.

    Level i has width * multipliers[i] channels, images of size / 2^i pixels, and self-attention
    where that is in `attention`; the innermost stage has it always.
    """
    levels = len(multipliers)
    if size % 2 ** (levels - 1):
        raise NoiselabError(
            f"a U-Net of {levels} levels needs an image size that divides by "
            f"{2 ** (levels - 1)}, not {size}"
        )
    widths = [width * m for m in multipliers]
    attends = [size // 2**level in attention for level in range(levels)]
    return UNet(channels, classes, widths, attends, blocks, dropout)


class UNet(nn.Module):
    """Encoder and decoder of residual blocks, each of the encoder feeding one of the decoder."""

    def __init__(
        self,
        channels: int,
        classes: int,
        widths: list[int],
        attends: list[bool],
        blocks: int,
        dropout: float,
    ):
        super().__init__()
        self.embedding = Embedding(widths[0], classes)
        self.stem = _conv(channels, widths[0])
        common = {"embedding": 4 * widths[0], "dropout": dropout}
        levels = list(zip(widths, attends, strict=True))
        self.encoder, skips = _encoder(levels, blocks, common)
        inner = widths[-1]
        centre = [Block(inner, inner, attend=True, **common), Block(inner, inner, **common)]
        self.centre = nn.ModuleList(centre)
        self.decoder = _decoder(levels, skips, blocks, common)
        last = _zero(_conv(widths[0], channels))
        self.head = nn.Sequential(_norm(widths[0]), nn.SiLU(), last)

    def forward(self, x: Tensor, c_noise: Tensor, condition: Tensor) -> Tensor:
        """x [n, c, h, w], c_noise [n], one-hot condition [n, C] -> [n, c, h, w]."""
        embedding = self.embedding(c_noise, condition)
        x = self.stem(x)
        skips = [x]
        for block in self.encoder:
            x = block(x, embedding)
            skips.append(x)
        for block in self.centre:
            x = block(x, embedding)
        for block in self.decoder:
            if block.resample is None:
                x = torch.cat([x, skips.pop()], dim=1)
            x = block(x, embedding)
        return self.head(x)


def _encoder(levels: list, blocks: int, common: dict) -> tuple[nn.ModuleList, list[int]]:
    """Blocks of the way down, and the channels of the stem's and each block's output."""
    layers, skips = nn.ModuleList(), [levels[0][0]]
    for level, (width, attend) in enumerate(levels):
        if level > 0:
            layers.append(Block(skips[-1], skips[-1], resample=_halved, **common))
            skips.append(skips[-1])
        for _ in range(blocks):
            layers.append(Block(skips[-1], width, attend=attend, **common))
            skips.append(width)
    return layers, skips


def _decoder(levels: list, skips: list[int], blocks: int, common: dict) -> nn.ModuleList:
    """Blocks of the way up; all but those that double the image take a skip as well."""
    layers, now = nn.ModuleList(), levels[-1][0]
    for level, (width, attend) in reversed(list(enumerate(levels))):
        for i in range(blocks + 1):
            last = i == blocks
            layers.append(Block(now + skips.pop(), width, attend=attend and last, **common))
            now = width
        if level > 0:
            layers.append(Block(now, now, resample=_doubled, **common))
    return layers


class Embedding(nn.Module):
    """Noise level [n] and one-hot class [n, C] -> [n, 4 width]."""

    def __init__(self, width: int, classes: int):
        super().__init__()
        exponents = torch.arange(width // 2) / (width // 2 - 1)
        self.register_buffer("frequencies", 1e-4**exponents, persistent=False)
        self.label = _xavier(nn.Linear(classes, width))
        first, second = nn.Linear(width, 4 * width), nn.Linear(4 * width, 4 * width)
        self.layers = nn.Sequential(_xavier(first), nn.SiLU(), _xavier(second), nn.SiLU())

    def forward(self, c_noise: Tensor, condition: Tensor) -> Tensor:
        angles = c_noise[:, None] * self.frequencies
        position = torch.cat([angles.cos(), angles.sin()], dim=1)
        # A one-hot vector has mean square 1/C; the layers expect 1.
        return self.layers(position + self.label(condition * math.sqrt(condition.shape[1])))


class Block(nn.Module):
    """Residual block, then self-attention if wanted; it starts as a (linear) shortcut."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        embedding: int,
        dropout: float,
        attend: bool = False,
        resample: Callable[[Tensor], Tensor] | None = None,
    ):
        super().__init__()
        self.resample = resample
        self.norm1, self.conv1 = _norm(inputs), _conv(inputs, outputs)
        self.bias = _xavier(nn.Linear(embedding, outputs))
        self.norm2, self.conv2 = _norm(outputs), _zero(_conv(outputs, outputs))
        self.dropout = nn.Dropout(dropout)
        plain = inputs == outputs and resample is None
        self.shortcut = nn.Identity() if plain else _conv(inputs, outputs, kernel=1)
        self.attention = Attention(outputs) if attend else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x [n, inputs, h, w], embedding [n, e] -> [n, outputs, h, w], or resampled."""
        y = silu(self.norm1(x))
        if self.resample:
            x, y = self.resample(x), self.resample(y)
        y = self.conv1(y) + self.bias(embedding)[:, :, None, None]
        y = self.conv2(self.dropout(silu(self.norm2(y))))
        return self.attention((self.shortcut(x) + y) * ROOT_HALF)


class Attention(nn.Module):
    """Residual self-attention over pixels with one head, [n, c, h, w] -> the same."""

    def __init__(self, width: int):
        super().__init__()
        self.norm = _norm(width)
        self.qkv = _xavier(nn.Linear(width, 3 * width))
        self.out = _zero(nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        pixels = self.norm(x).flatten(2).transpose(1, 2)  # [n, h w, c]
        q, k, v = self.qkv(pixels)[:, None].chunk(3, dim=-1)  # each [n, 1, h w, c]
        y = self.out(scaled_dot_product_attention(q, k, v)[:, 0])
        return (x + y.transpose(1, 2).reshape(x.shape)) * ROOT_HALF


def _halved(x: Tensor) -> Tensor:
    return avg_pool2d(x, 2)


def _doubled(x: Tensor) -> Tensor:
    return interpolate(x, scale_factor=2, mode="nearest")


def _conv(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    return _xavier(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2))


def _norm(width: int) -> nn.GroupNorm:
    """At most 32 groups of at least four channels."""
    groups = max(g for g in range(1, 33) if width % g == 0 and g <= max(1, width // 4))
    return nn.GroupNorm(groups, width, eps=1e-6)


def _xavier(layer):
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _zero(layer):
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
