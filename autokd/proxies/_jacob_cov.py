"""jacob_cov: how differently an untrained network reacts to small changes of different samples.

Source: Mellor et al., Neural Architecture Search without Training, arXiv 2006.04647, version 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from autokd import batching, declarations
from autokd.errors import ComponentError
from autokd.networks.models import as_output
from autokd.proxies.gradients import gradients
from autokd.proxies.untrained import untrained_student
from autokd.types import BuildContext, Inputs, Proxy, ScreenInput

_K = 1e-5


def input_jacobian(network: nn.Module, inputs: Inputs) -> Tensor:
    """Return the gradient of the sum of a sample's logits for its own values, [B, values].

    Raises:
      ComponentError: the inputs hold no floating-point values.
    """
    copies = batching.each(inputs, lambda values: values.detach().clone())
    sought = [values.requires_grad_() for values in batching.tensors(copies) if values.is_floating_point()]
    if not sought:
        raise ComponentError("jacob_cov differentiates by the input's values; these inputs are no such numbers")
    found = gradients(as_output(network(copies)).logits.sum(), sought)
    return torch.cat([slope.flatten(1) for slope in found], 1)


def spread_of_correlations(jacobian: Tensor) -> float:
    """Return -Σ log(v + k) + 1/(v + k) over the eigenvalues v of the correlations of rows, k = 1e-5.

    At most -B (rows that are uncorrelated), lower the more alike the rows are.

    Args:
      jacobian: [B, values]; NaN where a row does not vary.
    """
    correlations = torch.corrcoef(jacobian.double())
    if not correlations.isfinite().all():
        return float("nan")
    shifted = torch.linalg.eigvalsh(correlations).clamp_min(0) + _K
    return float(-(shifted.log() + 1 / shifted).sum())


@dataclass(frozen=True, kw_only=True)
class JacobCov:
    """How uncorrelated the input gradients of the samples of the screening batch are.

    Raises:
      ComponentError: the inputs are no floating-point values.
    """

    declares = declarations.Proxy(higher_is_better=True, unit="negative divergence")

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        return _score


def _score(screen: ScreenInput) -> float:
    return spread_of_correlations(input_jacobian(untrained_student(screen), screen.inputs))
