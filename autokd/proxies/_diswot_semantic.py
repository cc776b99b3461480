"""DisWOT's second term alone: whether the classifiers of student and teacher get similar gradients, class by class.

Source: Dong et al., CVPR 2023, arXiv 2303.15678; see `autokd.proxies.resemblance`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from autokd import declarations
from autokd.proxies.resemblance import answers, check_offers, semantic_of
from autokd.ranges import Choice
from autokd.types import BuildContext, Proxy, ScreenInput


@dataclass(frozen=True, kw_only=True)
class DisWOTSemantic:
    """Similarity of the classifiers' gradients, channel by channel; of a wider network the first channels count.

    Raises:
      ComponentError: there is no teacher, or teacher or student offer no embedding before the classifier.
    """

    declares = declarations.Proxy(needs_teacher=True, higher_is_better=True, unit="negative distance")

    gaussian: Annotated[bool, Choice(False, True)] = False  # student's weights from N(0, 1), as the released scripts'
    random_teacher: Annotated[bool, Choice(False, True)] = False  # teacher's weights from N(0, 1), as the paper's

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        check_offers(context.teacher, pooled=True, features=False)

        def score(screen: ScreenInput) -> float:
            both = answers(screen, gaussian=self.gaussian, random_teacher=self.random_teacher)
            return semantic_of(both, screen.labels)

        return score
