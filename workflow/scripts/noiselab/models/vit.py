"""Vision transformers, from timm's parts."""

from functools import partial

import torch
from timm.layers import HybridEmbed, PatchEmbed
from timm.models.vision_transformer import VisionTransformer
from torch import nn


def vit(
    channels: int,
    classes: int,
    size: int,
    patch: int = 16,
    width: int = 768,
    layers: int = 12,
    heads: int = 12,
    drop_path: float = 0.1,
    stem: str = "patch",
    pool: str = "token",
    initialization: str = "timm",
) -> VisionTransformer:
    """Vision transformer (Dosovitskiy et al. 2020) on images [n, channels, size, size]; the
    result is logits [n, classes].

    The defaults make timm's `vit_base_patch16_224`: 86M parameters. stem: `patch`, one linear map
    per patch, or `convolution`, a 3x3 convolution of stride 2 per halving of the image (Xiao et
    al. 2021), with which small networks learn from few images; `patch` is then a power of two.
    pool: `token`, the class token is read, or `avg`, the mean of all patches. initialization:
    `timm`, a truncated normal of standard deviation 0.02, or `moco`, whose scale follows the width.
    drop_path: probability of leaving out the last block's branches (stochastic depth).
    """
    embed = PatchEmbed if stem == "patch" else partial(HybridEmbed, _stem(channels, width, patch))
    network = VisionTransformer(
        img_size=size,
        patch_size=patch if stem == "patch" else 1,  # of the stem's result
        in_chans=channels,
        num_classes=classes,
        embed_dim=width,
        depth=layers,
        num_heads=heads,
        drop_path_rate=drop_path,
        embed_layer=embed,
        global_pool=pool,
        class_token=pool == "token",
        weight_init="" if initialization == "timm" else initialization,
    )
    for block in network.blocks:  # on a CPU its parts are faster in bf16: see models.attention
        block.attn.fused_attn = torch.cuda.is_available()
    return network


def _stem(channels: int, width: int, patch: int) -> nn.Sequential:
    """Convolutions of stride 2, doubling in width up to the last, then a linear map of each place:
    [n, channels, size, size] -> [n, width, size / patch, size / patch]."""
    halvings = patch.bit_length() - 1
    layers = []
    for i in reversed(range(halvings)):
        outputs = width // 2**i
        convolution = nn.Conv2d(channels, outputs, 3, stride=2, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        channels = outputs
    return nn.Sequential(*layers, nn.Conv2d(channels, width, 1))
