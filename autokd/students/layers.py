"""What the convolutional students share."""

from __future__ import annotations

from torch import nn


def conv_bn_relu(
    in_channels: int, out_channels: int, *, kernel_size: int = 3, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Return convolution (same padding, no bias), batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


def stem_stride(side: int) -> int:
    """Return the stride of the first convolution for images whose shorter side has `side` pixels."""
    return 1 if side <= 64 else 2


def he_normal_(network: nn.Module) -> None:
    """Initialise every convolution from N(0, 2 / fan-in), in place (He et al., ICCV 2015, arXiv 1502.01852, eq. 10)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
