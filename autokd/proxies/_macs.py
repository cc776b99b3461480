"""Multiply-accumulates of one sample: the other size baseline that a proxy has to beat."""

from __future__ import annotations

from dataclasses import dataclass

from autokd import declarations
from autokd.networks import cost
from autokd.types import BuildContext, Proxy, ScreenInput


@dataclass(frozen=True, kw_only=True)
class MACs:
    """Ranks students by their multiply-accumulates; see `autokd.networks.cost.macs`."""

    declares = declarations.Proxy(higher_is_better=True, unit="MACs")

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        return _score


def _score(screen: ScreenInput) -> float:
    return float(cost.macs(screen.build(screen.seed), screen.task))
