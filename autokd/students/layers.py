"""What the convolutional students share."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Projection(nn.Conv2d):
    """A 1x1 convolution with a stride, without bias: the pixels that it reads are picked first.

    The result is the same. PyTorch's own (seen in 2.13, on a CPU with AVX-512) writes beyond its memory in backward
    where the layout is channels-last, the batch odd, the channels no multiple of 16 and there are several threads; the
    process then dies.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__(in_channels, out_channels, 1, stride, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """[B, in, H, W] -> [B, out, ceil(H / stride), ceil(W / stride)]."""
        down, right = self.stride
        return F.conv2d(input[:, :, ::down, ::right], self.weight)


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


def stages_within(side: int, most: int) -> int:
    """Return how many stages, each of half the side of the one before, keep maps at 2x2 or more; 1 to `most`.

    Args:
      side: shorter side of the first stage's maps, in pixels; halving rounds up.
      most: stages there may be.
    """
    stages = 1
    while stages < most and side > 2:
        side = (side + 1) // 2
        stages += 1
    return stages


def spread(blocks: int, stages: int) -> list[int]:
    """Return how many of the blocks each stage gets: evenly many, the later ones those that are over."""
    return [(blocks + index) // stages for index in range(stages)]


def patch_side(patch: int, side: int) -> int:
    """Return the side of a patch: as asked up to 64 pixels, twice that up to 128, …, at most half of the image's side.

    Args:
      patch: side that is asked for, in pixels.
      side: shorter side of the images.
    Example:
      >>> [patch_side(4, side) for side in (8, 64, 96, 224)], patch_side(8, 8)
      ([4, 4, 8, 16], 4)
    """
    return max(1, min(patch * -(-side // 64), side // 2))


def thirds(blocks: int) -> list[int]:
    """Return the positions of the blocks that end a third of them, the last one among them.

    Example:
      >>> thirds(1), thirds(4), thirds(12)
      ([0], [1, 2, 3], [3, 7, 11])
    """
    return sorted({-(-blocks * third // 3) - 1 for third in (1, 2, 3)})
