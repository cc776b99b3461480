"""No augmentation."""

from __future__ import annotations

from dataclasses import dataclass

from autokd import declarations
from autokd.types import ANY, Augment, BuildContext


@dataclass(frozen=True, kw_only=True)
class NoAugment:
    """Every epoch shows every sample as it is."""

    declares = declarations.Augment(modalities=ANY, any_size=True)  # it looks at no input

    def build(self, context: BuildContext) -> Augment:
        """Return the policy."""
        return Augment(lambda generator, n, u: {}, lambda view, rows, partner, partner_rows: view)
