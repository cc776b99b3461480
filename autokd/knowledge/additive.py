"""What each choice of a pipeline was worth within one study: a ridge regression on all choices at once.

Where two choices were often made together, a difference of means gives each what belongs to the other. An additive
model tells them apart as far as the runs do. Who chose a pipeline is in it too, since known recipes are also good at
what is not asked about. How much it shrinks is what predicts left-out runs best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from autokd.knowledge.card import StudyCard
from autokd.knowledge.choices import LOSSES, ORIGIN, TAUGHT, Bands, Choice, is_many, reads_a_teacher

SHRINKS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""How strong the penalty may be, in runs."""
LEAST = 3
"""Runs that have a choice, and runs that have not, without which nothing is said of it."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Design:
    """Which pipeline of a study has what.

    Args:
      choices: the columns.
      has: [n, F] 1 where a pipeline has a choice.
      quantiles: [n] rank of each pipeline within the study, as a quantile.
      scores: [n] of each pipeline.
    """

    choices: tuple[Choice, ...]
    has: Values
    quantiles: Values
    scores: Values

    @cached_property
    def contrasts(self) -> dict[Choice, Values]:
        """For each choice that can be judged, what to multiply coefficients with, [F].

        It compares pipelines with the choice, whose inner choices are as often as they are drawn, with those that have
        another option in its place; where several may be chosen at once, with those that lack it.
        """
        profiles = {choice: self._profile(choice) for choice in self.choices if self._is_seen(choice)}
        found = self._taught()
        for choice, profile in profiles.items():
            others = [other for each, other in profiles.items() if each.place == choice.place and each != choice]
            if is_many(choice.place):
                found[choice] = profile
            elif others:
                found[choice] = profile - np.mean(others, axis=0)
        return found

    def _is_seen(self, choice: Choice) -> bool:
        """Whether enough pipelines have a choice, and enough have not; of who chose a pipeline nothing is asked."""
        has = self.has[:, self.choices.index(choice)].sum()
        return choice.place != ORIGIN and bool(LEAST <= has <= len(self.has) - LEAST)

    def _profile(self, choice: Choice) -> Values:
        return self._mean([choice], self.has[:, self.choices.index(choice)] > 0)

    def _taught(self) -> dict[Choice, Values]:
        """Pipelines with a loss that reads a teacher, against those without one."""
        losses = [choice for choice in self.choices if reads_a_teacher(choice)]
        taught = self.has[:, [self.choices.index(loss) for loss in losses]].sum(1) > 0
        enough = LEAST <= taught.sum() <= len(taught) - LEAST
        return {Choice(LOSSES, TAUGHT): self._mean(losses, taught)} if enough else {}

    def _mean(self, owners: Sequence[Choice], rows: NDArray[np.bool_]) -> Values:
        """How often some pipelines have each choice that belongs to the owners; 0 for the others, [F]."""
        owned = [any(owner.owns(choice) for owner in owners) for choice in self.choices]
        return np.where(owned, self.has[rows].mean(0), 0.0)


def design(card: StudyCard, bands: Bands) -> Design:
    """Return the design of a study: each pipeline that was trained to the end once."""
    known = [run for run in card.runs if set(run.pipeline) != {"format"}]  # it is, but for a foreign table's baseline
    runs = {run.key: run for run in known if run.key in card.worth}
    chosen = [bands.of(run, card) for run in runs.values()]
    choices = tuple(sorted(frozenset[Choice]().union(*chosen)))
    has = np.array([[choice in each for choice in choices] for each in chosen], dtype=np.float64)
    quantiles = np.array([card.quantiles[key] for key in runs])
    return Design(choices, has.reshape(len(runs), len(choices)), quantiles, np.array([card.worth[key] for key in runs]))


def fit(has: Values, targets: Values) -> Values:
    """Return ridge coefficients [F, T], each target's penalty being that of least leave-one-out error.

    Args:
      has: [n, F].
      targets: [n, T].
    Source: Hoerl and Kennard, Technometrics 12 (1970); the error without refitting is that of Allen's PRESS
      (Technometrics 16, 1974).
    """
    rows, wanted = has - has.mean(0), targets - targets.mean(0)
    left, sizes, right = np.linalg.svd(rows, full_matrices=False)
    turned = left.T @ wanted
    fits, errors = [], []
    for penalty in SHRINKS:
        kept = sizes**2 / (sizes**2 + penalty)
        fitted = left @ (kept[:, None] * turned)
        leverage = (left**2) @ kept + 1 / len(rows)
        fits.append(right.T @ ((sizes / (sizes**2 + penalty))[:, None] * turned))
        errors.append((((wanted - fitted) / np.maximum(1 - leverage, 1e-9)[:, None]) ** 2).mean(0))
    best = np.argmin(errors, axis=0)
    found: Values = np.stack(fits)[best, :, np.arange(targets.shape[1])].T
    return found


def aligned(coefficients: Values, own: Sequence[Choice], wanted: Sequence[Choice]) -> Values:
    """Return coefficients [F, T] of one study for the choices of another [G, T]; what the first has not is 0.

    So is who chose a pipeline, which is nothing of the pipeline.
    """
    at = {choice: place for place, choice in enumerate(own) if choice.place != ORIGIN}
    rows = np.zeros((len(wanted), coefficients.shape[1]))
    for place, choice in enumerate(wanted):
        if choice in at:
            rows[place] = coefficients[at[choice]]
    return rows
