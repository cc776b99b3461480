"""The maps between a network's blocks, and the three scores of AZ-NAS that read them.

Source: Lee and Ham, AZ-NAS: Assembling Zero-Cost Proxies for Network Architecture Search, CVPR 2024, arXiv 2403.19232;
numbers such as 1e-8 are those of the authors' code.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from autokd.errors import ComponentError
from autokd.networks.models import as_output
from autokd.types import Inputs


def block_outputs(network: nn.Module, inputs: Inputs) -> list[Tensor]:
    """Return what the blocks of a network put out, shallow to deep; at least two.

    Blocks are modules with layers of their own that stand in an `nn.Sequential`, the outermost such. Where there are
    fewer than two, the network's features count as its blocks.

    Raises:
      ComponentError: there are fewer than two features, too.
    """
    found: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        found.append(output)
        return output.clone()  # what follows may work in place

    handles = [block.register_forward_hook(keep) for block in blocks_of(network)]
    try:
        output = as_output(network(inputs))
    finally:
        _remove(handles)
    maps = found if len(found) > 1 else list(output.features)
    if len(maps) < 2:
        raise ComponentError(f"AZ-NAS compares successive blocks; this student shows {len(maps)}")
    return maps


def blocks_of(network: nn.Module) -> list[nn.Module]:
    """Return the modules that `block_outputs` looks at, in their order; may be empty."""
    if isinstance(network, nn.Sequential):
        composite = [child for child in network if next(child.children(), None) is not None]
        if composite:
            return composite
    return [block for child in network.children() for block in blocks_of(child)]


def channel_rows(features: Tensor) -> Tensor:
    """Return [n, C], one row a place: of maps [B, C, h, w], of tokens [B, N, C] and of vectors [B, C]."""
    return (features.movedim(1, -1) if features.ndim == 4 else features).reshape(-1, _channels(features))


def spectral_entropy(features: Tensor) -> float:
    """Return the entropy of the normalised eigenvalues of the covariance of channels, nats, 0 to log C.

    Args:
      features: as for `channel_rows`; NaN where they do not vary at all.
    """
    rows = channel_rows(features.detach()).double()
    rows = rows - rows.mean(0)
    covariance = rows.T @ rows / len(rows)
    if not covariance.isfinite().all():
        return float("nan")
    eigenvalues = torch.linalg.eigvalsh(covariance).clamp_min(0)
    share = eigenvalues / eigenvalues.sum()
    return float(-(share * (share + 1e-8).log()).sum())


def trainability(before: Tensor, after: Tensor, generator: torch.Generator) -> float:
    """Return 2 - s - 1/s, s the spectral norm of a block's Jacobian as estimated with random signs; at most 0.

    Args:
      before, after: maps between blocks; the second is computed from the first.
      generator: draws the signs, on the CPU.
    Returns:
      -inf of a block that passes its input on unchanged.
    """
    signs = (torch.randint(2, after.shape, generator=generator) * 2 - 1).to(after)
    given = (
        torch.autograd.grad(after, before, signs, retain_graph=True, allow_unused=True)[0] if _linked(after) else None
    )
    back = torch.zeros_like(before) if given is None else given
    if back.shape == signs.shape and torch.equal(back, signs):
        return float("-inf")
    if back.ndim == 4 and back.shape[2:] != signs.shape[2:]:
        back = _folded(back, signs.shape[2], signs.shape[3])
    rows, columns = channel_rows(back), channel_rows(signs)
    if len(rows) != len(columns):
        raise ComponentError(f"AZ-NAS compares maps of {len(rows)} and {len(columns)} places, which do not fit")
    matrix = rows.T @ columns / len(rows)
    if not matrix.isfinite().all():
        return float("nan")
    norm = float(torch.linalg.svdvals(matrix)[0])
    return 2 - norm - 1 / (norm + 1e-6)


def _channels(features: Tensor) -> int:
    return features.shape[1] if features.ndim == 4 else features.shape[-1]


def _linked(after: Tensor) -> bool:
    """Whether a map depends on anything at all."""
    return after.requires_grad


def _folded(maps: Tensor, height: int, width: int) -> Tensor:
    """Maps of that size, the pixels that become one as channels; zeros where a stride on an odd side has no pixel."""
    stride = max(-(-maps.shape[2] // height), -(-maps.shape[3] // width))
    missing = (0, width * stride - maps.shape[3], 0, height * stride - maps.shape[2])
    return functional.pixel_unshuffle(functional.pad(maps, missing), stride)


def _remove(handles: list[RemovableHandle]) -> None:
    for handle in handles:
        handle.remove()
