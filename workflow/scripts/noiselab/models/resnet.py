"""Residual networks for small images, from torchvision's blocks."""

from torch import nn
from torchvision.models.resnet import BasicBlock


def resnet(channels: int, classes: int, width: int = 64, blocks: list[int] = (2, 2, 2, 2)):
    """ResNet with the CIFAR stem: 3x3 convolution, no max-pool (He et al. 2016, Section 4.2).

    Images are [n, channels, h, w]; the result is logits [n, classes]. Stage i has `blocks[i]`
    blocks of width * 2^i channels and halves the image (but the first). The defaults make
    ResNet-18. Weights start as in torchvision: He-normal over the fan-out.
    """
    layers = [nn.Conv2d(channels, width, 3, padding=1, bias=False), *_norm_relu(width)]
    inputs = width
    for stage, count in enumerate(blocks):
        outputs = width * 2**stage
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            layers.append(BasicBlock(inputs, outputs, stride, _shortcut(inputs, outputs, stride)))
            inputs = outputs
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes)]
    network = nn.Sequential(*layers)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def _norm_relu(width: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
