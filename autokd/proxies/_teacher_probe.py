"""Teacher probe: how well a linear map of an untrained student's features predicts the teacher's answers.

A student whose random features already hold what the teacher tells apart has less to learn. One forward pass and one
small linear system; the order and the number of channels do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from autokd import declarations
from autokd.networks.models import as_output
from autokd.proxies.resemblance import Answers
from autokd.proxies.untrained import last_feature, needed_teacher, untrained_student
from autokd.ranges import Real
from autokd.types import BuildContext, Output, Proxy, ScreenInput


def held_out_share(features: Tensor, answers: Tensor, ridge: float) -> float:
    """Return the share of the answers' variance that a ridge regression predicts, on halves that it did not see.

    Args:
      features: [N, D]; columns are standardised with the statistics of the half that is fitted.
      answers: [N, C].
      ridge: penalty of the mean squared weight, relative to the number of features.
    Returns:
      At most 1; 0 or below where nothing is predicted. NaN where the answers do not vary.
    """
    even, odd = slice(0, None, 2), slice(1, None, 2)
    wide, sought = features.double(), answers.double()
    errors, totals = zip(*(_errors(wide, sought, *rows, ridge) for rows in ((even, odd), (odd, even))), strict=True)
    return float(1 - sum(errors) / sum(totals))


def _errors(features: Tensor, answers: Tensor, fitted: slice, held: slice, ridge: float) -> tuple[Tensor, Tensor]:
    """Squared error of a fit on other rows, and that of their mean."""
    mean, spread = features[fitted].mean(0), features[fitted].std(0).clamp_min(1e-12)
    known, asked = ((features[rows] - mean) / spread for rows in (fitted, held))
    centre = answers[fitted].mean(0)
    kernel = known @ known.T / known.shape[1]
    weights = torch.linalg.solve(kernel + ridge * torch.eye(len(known)).to(kernel), answers[fitted] - centre)
    predicted = centre + asked @ known.T / known.shape[1] @ weights
    return (predicted - answers[held]).square().sum(), (answers[held] - centre).square().sum()


@dataclass(frozen=True, kw_only=True)
class TeacherProbe:
    """Share of the variance of the teacher's logits that the student's random embedding predicts, held out.

    Raises:
      ComponentError: there is no teacher, or the student offers no embedding and no features.
    """

    declares = declarations.Proxy(needs_teacher=True, higher_is_better=True, unit="share")

    ridge: Annotated[float, Real(1e-3, 10.0, log=True)] = 0.1  # penalty, for features of variance 1

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        return self._score

    @torch.no_grad()
    def _score(self, screen: ScreenInput) -> float:
        teacher, network = needed_teacher(screen), untrained_student(screen)
        batches = [screen.inputs, *(inputs for inputs, _ in screen.more)]
        said = [Answers(teacher.predict(inputs), as_output(network(inputs))) for inputs in batches]
        features = torch.cat([embedding(both.student) for both in said])
        return held_out_share(features, torch.cat([both.teacher.logits for both in said]), self.ridge)


def embedding(output: Output) -> Tensor:
    """Return what the classifier reads, [B, D], or where the output has no such the last feature's mean over places.

    Raises:
      ComponentError: it has no features, either.
    """
    if output.pooled is not None:
        return output.pooled
    feature = last_feature(output, "student")
    return feature.flatten(2).mean(2) if feature.ndim == 4 else feature.flatten(1)
