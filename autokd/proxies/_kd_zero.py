"""The loss of KD as a proxy: how far an untrained student's answers are from the teacher's.

Source: the "KD-based zero proxies" that DisWOT is compared with (Dong et al., CVPR 2023, arXiv 2303.15678), here the
loss of Hinton et al., 2015, arXiv 1503.02531.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from autokd import declarations
from autokd.proxies.resemblance import answers, divergence
from autokd.ranges import Real
from autokd.types import BuildContext, Proxy, ScreenInput


@dataclass(frozen=True, kw_only=True)
class KDZero:
    """The negative loss of KD, before any training.

    Raises:
      ComponentError: there is no teacher.
    """

    declares = declarations.Proxy(needs_teacher=True, higher_is_better=True, unit="negative nats")

    temperature: Annotated[float, Real(1.0, 16.0, log=True)] = 4.0  # softmax temperature of both networks

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""

        def score(screen: ScreenInput) -> float:
            both = answers(screen)
            return -float(divergence(both.teacher.logits, both.student.logits, self.temperature))

        return score
