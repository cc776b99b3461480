"""Number of trainable layers: a plain count that ranks some spaces better than most proxies do.

Source: its rank correlations stand in Tybl and Neumann, Training-free Neural Architecture Search through Variance of
Knowledge of Deep Network Weights, CVPR 2025, arXiv 2502.04975, table 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from autokd import declarations
from autokd.proxies.gradients import weights_of
from autokd.types import BuildContext, Proxy, ScreenInput


@dataclass(frozen=True, kw_only=True)
class Depth:
    """Ranks students by their layers with weights, side branches included."""

    declares = declarations.Proxy(higher_is_better=True, unit="layers")

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        return _score


def _score(screen: ScreenInput) -> float:
    return float(len(weights_of(screen.build(screen.seed))))
