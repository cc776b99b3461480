"""No augmentation."""

from __future__ import annotations

from dataclasses import dataclass

from autokd import declarations
from autokd.types import IMAGE, TABLE, Augment, BuildContext


@dataclass(frozen=True, kw_only=True)
class NoAugment:
    """Every epoch shows every sample as it is."""

    declares = declarations.Augment(modalities=IMAGE | TABLE)

    def build(self, context: BuildContext) -> Augment:
        """Return the policy."""
        return Augment(lambda generator, n, u: {}, lambda view, rows, partner, partner_rows: view)
