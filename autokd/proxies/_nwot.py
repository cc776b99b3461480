"""NASWOT: how differently the ReLUs of an untrained network answer to different samples.

Source: Mellor et al., Neural Architecture Search without Training, ICML 2021, arXiv 2006.04647, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from autokd import declarations
from autokd.errors import ComponentError
from autokd.proxies.untrained import untrained_student
from autokd.types import BuildContext, Inputs, Proxy, ScreenInput


def agreement(activation: Tensor) -> Tensor:
    """Return on how many units two samples agree, for every pair: units minus the Hamming distance of binary codes.

    Args:
      activation: [B, …], output of a ReLU layer; a unit is active where positive.
    Returns:
      [B, B] float64.
    """
    code = (activation.flatten(1) > 0).float()
    both, active = code @ code.T, code.sum(1)
    return (code.shape[1] - active[:, None] - active + 2 * both).double()


@torch.no_grad()
def code_kernel(network: nn.Module, inputs: Inputs) -> Tensor:
    """Return the sum of `agreement` over all calls of `nn.ReLU` modules in one forward pass, [B, B] float64.

    Raises:
      ComponentError: the network calls none.
    """
    kernels: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        kernels.append(agreement(output))

    handles = [module.register_forward_hook(keep) for module in network.modules() if isinstance(module, nn.ReLU)]
    network(inputs)
    for handle in handles:
        handle.remove()
    if not kernels:
        raise ComponentError("nwot reads nn.ReLU modules; this student calls none")
    return torch.stack(kernels).sum(0)


def log_determinant(kernel: Tensor) -> float:
    """Return log |det K| of a positive semi-definite kernel, in float64.

    Eigenvalues below what float64 resolves beside the largest count as that resolution, so that a singular kernel
    (equal samples, or fewer units than samples) gives a low finite score instead of noise or minus infinity.

    Args:
      kernel: [B, B] float64, not all zero.
    """
    eigenvalues = torch.linalg.eigvalsh(kernel)
    resolution = eigenvalues[-1] * len(kernel) * torch.finfo(kernel.dtype).eps
    return float(eigenvalues.maximum(resolution).log().sum())


@dataclass(frozen=True, kw_only=True)
class NWOT:
    """Log-determinant of the kernel of binary ReLU codes on the screening batch.

    Only `nn.ReLU` modules are seen, no functional calls.

    Raises:
      ComponentError: the student has no `nn.ReLU` module.
    """

    declares = declarations.Proxy(higher_is_better=True, unit="log-determinant")

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        return _score


def _score(screen: ScreenInput) -> float:
    return log_determinant(code_kernel(untrained_student(screen), screen.inputs))
