"""Replays searches on recorded studies, what is of the same family left out: what does it help to know past studies?

    python -m benchmarks.knowledge.replay [--seeds 20] [--table FILE.csv]

Every pipeline of a study was trained to the end, so a search is replayed without training. Each searcher says in which
order pipelines are tried, and sees the score of one run of each; it is judged by the mean over the runs of the best that
it saw. A fold leaves out all studies of a family: the models, their weights, and the best fixed recipe are made of the
others alone.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autokd.knowledge.base import Base
from autokd.knowledge.card import HAND_KD, CardRun, StudyCard
from autokd.knowledge.recommender import Recommender, fitted, subject_of
from benchmarks.knowledge.record import card_of

AFTER = (1, 2, 5, 10, 20)
"""Trials after which a search is judged."""
PORTFOLIO = 12
"""Trials that come from the past before a search goes on by itself."""
SHUFFLED, UNRELATED = "shuffled", "unrelated"

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """A study that a search is replayed on.

    Args:
      name: of the set.
      card: what was recorded.
      runs: one a pipeline, in the order in which they were recorded.
      scores: of each pipeline under each seed, in points.
    """

    name: str
    card: StudyCard
    runs: tuple[CardRun, ...]
    scores: tuple[Values, ...]

    @functools.cached_property
    def worth(self) -> Values:
        """Mean score of each pipeline over its runs, in points."""
        return np.array([each.mean() for each in self.scores])

    @functools.cached_property
    def by_hand(self) -> float:
        """What KD by hand is worth."""
        return float(self.worth[self.place(HAND_KD)])

    def place(self, source: str) -> int:
        """Return the place of a recipe."""
        return next(place for place, run in enumerate(self.runs) if run.source == source)

    def places(self, names: Sequence[str]) -> list[int]:
        """Return the places of recipes that are there, by their names."""
        known = {run.source: place for place, run in reversed(list(enumerate(self.runs)))}
        return [known[f"recipe:{name}"] for name in names if f"recipe:{name}" in known]

    def seen(self, seed: int) -> Values:
        """Return the score of each pipeline that a search sees: that of one of its runs."""
        return np.array([each[seed % len(each)] for each in self.scores])


@functools.cache
def target(name: str) -> Target | None:
    """Return a recorded set; None where it is not recorded."""
    card = card_of(name)
    if card is None or card.baseline(HAND_KD) is None:
        return None
    runs: dict[str, list[CardRun]] = {}
    for run in card.runs:
        runs.setdefault(run.key, []).append(run)
    scores = tuple(np.array([100 * (run.score or 0.0) for run in found]) for found in runs.values())
    return Target(name, card, tuple(found[0] for found in runs.values()), scores)


@dataclass(frozen=True)
class Fold:
    """A target and the past that may be known of it: the studies on the same kind of input of other families."""

    target: Target
    past: tuple[Target, ...]
    control: str = ""

    @functools.cached_property
    def base(self) -> Base:
        """The past as a base; in a control each study's results belong to other pipelines."""
        return Base.of(each.card for each in self.past)

    @functools.cached_property
    def said(self) -> Values:
        """What each past study says of the target's pipelines, [S, n]."""
        subjects = [subject_of(run.pipeline, run.params, self.target.card.facts) for run in self.target.runs]
        rows = [_model(each.name, self.control).of(subjects)[0] for each in self._told]
        return np.stack(rows)

    @functools.cached_property
    def weights(self) -> Values:
        """How much each past study counts."""
        own = Recommender(Base(tuple(each.card for each in self.past)), self.target.card.facts).weights
        if self.control == UNRELATED:
            return np.concatenate([own, np.full(len(own), own.mean())]) / 2
        return own

    @property
    def _told(self) -> tuple[Target, ...]:
        return self.past


@functools.cache
def _model(name: str, control: str) -> Any:
    found = target(name)
    assert found is not None
    return fitted(found.card)
