"""Number of learned parameters: the baseline that a proxy has to beat."""

from __future__ import annotations

from dataclasses import dataclass

from autokd import declarations
from autokd.networks import cost
from autokd.types import BuildContext, Proxy, ScreenInput


@dataclass(frozen=True, kw_only=True)
class Params:
    """Ranks students by their number of learned parameters."""

    declares = declarations.Proxy(higher_is_better=True, unit="parameters")

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        return _score


def _score(screen: ScreenInput) -> float:
    return float(cost.params(screen.build(screen.seed)))
