"""DisWOT's first term alone: whether an untrained student finds the same samples alike as the teacher.

Source: Dong et al., CVPR 2023, arXiv 2303.15678; see `autokd.proxies.resemblance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from autokd import declarations
from autokd.proxies.resemblance import answers, check_offers, relation_of
from autokd.ranges import Choice
from autokd.types import BuildContext, Proxy, ScreenInput


@dataclass(frozen=True, kw_only=True)
class DisWOTRelation:
    """Similarity of the relations between samples; the widths of both networks may differ.

    Raises:
      ComponentError: there is no teacher, or teacher or student offer no features.
    """

    declares = declarations.Proxy(needs_teacher=True, higher_is_better=True, unit="negative distance")

    gaussian: Annotated[bool, Choice(False, True)] = False  # student's weights from N(0, 1), as the released scripts'
    random_teacher: Annotated[bool, Choice(False, True)] = False  # teacher's weights from N(0, 1), as the paper's
    as_released: Annotated[bool, Choice(False, True)] = False  # relation of the first sample's channels, as released

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        check_offers(context.teacher)

        def score(screen: ScreenInput) -> float:
            both = answers(screen, gaussian=self.gaussian, random_teacher=self.random_teacher)
            return relation_of(both, as_released=self.as_released)

        return score
