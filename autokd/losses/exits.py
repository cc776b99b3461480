"""Exits: from the activations of a network's stage to logits, for maps, vectors and tokens.

After the projectors of OFA (Hao et al., NeurIPS 2023, arXiv 2310.19444) and its authors' code, with sizes taken from
the network instead of from ImageNet's.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from autokd.losses.common import over_positions

Shape = tuple[int, ...]


class OverPositions(nn.Module):
    """The mean over space of maps, or over tokens; see `over_positions`."""

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, d, h, w], [B, N, d] or [B, d] to [B, d]."""
        return over_positions(x)


def exit_from(shapes: Sequence[Shape], stage: int, *, classes: int) -> nn.Module:
    """Return layers from a stage's activations to logits [B, classes]; the earlier the stage, the more layers.

    Maps [B, c, h, w]: a block for each later stage, of two depthwise-separable convolutions, that halves the map as
    long as both sides keep 2 pixels, and doubles the channels; at the last stage a 1x1 convolution. Tokens [B, N, d]: a
    transformer block for each quarter of the network to come, at least one. Vectors [B, d]: a linear layer and a ReLU
    for each later stage. Then the mean over positions and a linear classifier.

    Args:
      shapes: of one sample's activations at all stages, shallow to deep.
      stage: index into them.
      classes: number of logits.
    Returns:
      The layers; before the classifier, maps and vectors have the channels of the last stage.
    """
    shape, later = shapes[stage], len(shapes) - 1 - stage
    width = shapes[-1][0]
    if len(shape) == 3:
        layers = _convolutions(shape, later, width)
    elif len(shape) == 2:
        width = shape[1]
        layers = [_transformer_block(width) for _ in range(max(1, round(4 * later / len(shapes))))]
    else:
        widths = [shape[0], *[width] * later]
        width = widths[-1]
        layers = [nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in itertools.pairwise(widths)]
    return _initialised(nn.Sequential(*layers, OverPositions(), nn.Linear(width, classes)))


def leave_by(layers: nn.Module, activations: Tensor, mask: Tensor | None) -> Tensor:
    """Return the logits of an exit.

    Args:
      layers: as `exit_from` returned them.
      activations: of the stage.
      mask: [B, N] bool for tokens [B, N, d], false at those that only fill up a sample: nothing attends to them, and
        they do not count; None: all are real.
    """
    if mask is None or activations.ndim != 3:
        logits: Tensor = layers(activations)
        return logits
    x = activations
    for layer in layers.children():
        if isinstance(layer, nn.TransformerEncoderLayer):
            x = layer(x, src_key_padding_mask=~mask)
        else:
            x = over_positions(x, mask) if isinstance(layer, OverPositions) else layer(x)
    return x


def _convolutions(shape: Shape, blocks: int, width: int) -> list[nn.Module]:
    """Blocks from a map to one of `width` channels."""
    channels, *size = shape
    if not blocks:
        return [nn.Conv2d(channels, width, 1)]
    layers: list[nn.Module] = []
    for block in range(blocks):
        stride = 2 if min(size) > 2 else 1
        size = [(side + stride - 1) // stride for side in size]
        wider = width if block == blocks - 1 else 2 * channels
        one_pixel = max(size) == 1
        layers += [_separable(channels, channels, stride, one_pixel), _separable(channels, wider, 1, one_pixel)]
        channels = wider
    return layers


def _separable(before: int, after: int, stride: int, one_pixel: bool) -> nn.Sequential:
    """Depthwise 3x3 and pointwise convolution, batch normalisation (unless the map is one pixel) and ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, before, 3, stride, 1, groups=before, bias=False),
        nn.Conv2d(before, after, 1, bias=one_pixel),
        *([] if one_pixel else [nn.BatchNorm2d(after)]),
        nn.ReLU(),
    )


def _transformer_block(width: int) -> nn.Module:
    heads = 4 if width % 4 == 0 else 1
    return nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )


def _initialised(network: nn.Module) -> nn.Module:
    """Draw convolutions from He's normal distribution and linear layers from a truncated one of deviation 0.02."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
    return network
