"""Evolution of students inside the limits: thousands are looked at, and good ones of every size are found.

Aging evolution (Real et al., Regularized Evolution for Image Classifier Architecture Search, AAAI 2019, arXiv
1802.01548, section 3), with a population in each size stratum: a parent is the best of a few of the stratum's youngest
students, its child differs in one field or has the fields of two parents, and the oldest are forgotten. So size cannot
win by itself, and students of every size are left in the end.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autokd.search.screen.screen import STRATA, stratum_of
from autokd.space.architectures import Architectures
from autokd.spec import fingerprint
from autokd.study.choice import ScreenedStudent

Plain = dict[str, Any]
Rate = Callable[[Sequence[Plain]], Sequence[ScreenedStudent]]
"""Scores students; one after the other or several at a time, in their order."""
Order = Callable[[Sequence[ScreenedStudent]], NDArray[np.float64]]
"""How good each student is among the others, [n]."""
YOUNGEST = 16
"""Students of a stratum that may be parents: the last ones."""
GENERATION = 16
"""Children that are scored at a time, however many processors there are."""
TOURNAMENT = 5
CROSSED = 0.25
"""Share of the children that have two parents."""
DRAWS = 20
"""Random students that are looked at where a child is known already."""
PATIENCE = 3
"""Generations in a row without a new student after which the space is taken for exhausted."""


@dataclass(kw_only=True)
class Evolution:
    """An evolution.

    Args:
      architectures: the students, inside the limits.
      rate: scores them.
      order: compares them.
      rng: decides everything that is left to chance.
      history: all students that were scored, oldest first.
    """

    architectures: Architectures
    rate: Rate
    order: Order
    rng: np.random.Generator
    history: list[ScreenedStudent] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)

    def run(
        self,
        first: Sequence[Mapping[str, Any]],
        count: int,
        on_student: Callable[[int, int], None] = lambda done, total: None,
        *,
        enough: Callable[[], bool] = lambda: False,
    ) -> list[ScreenedStudent]:
        """Score students until there are so many, and return them all, oldest first.

        Args:
          first: students to begin with.
          count: how many are scored.
          on_student: called with (scored, to be scored) after each generation.
          enough: asked before each generation whether to leave it at those scored.
        """
        self._score([student for each in first if self._is_new(student := dict(each))][:count])
        idle = 0
        while len(self.history) < count and idle < PATIENCE and not enough():
            children = self._children(min(GENERATION, count - len(self.history)))
            idle = 0 if children else idle + 1
            self._score(children)
            on_student(len(self.history), count)
        return self.history

    def _score(self, students: Sequence[Plain]) -> None:
        self.history += self.rate(students)

    def _is_new(self, student: Mapping[str, Any]) -> bool:
        """Whether a student was not there yet; from now on it was."""
        key, before = fingerprint(dict(student)), len(self._seen)
        self._seen.add(key)
        return len(self._seen) > before

    def _children(self, count: int) -> list[Plain]:
        """New students: of each stratum in turn a child, or where that is known already one drawn at random."""
        scores = self.order(self.history)
        strata = self._parents()
        found: list[Plain] = []
        for place in range(count):
            child = self._child(strata[place % len(strata)], scores) if strata else None
            drawn = (self.architectures.sample(self.rng) for _ in range(DRAWS))
            new = (each for each in itertools.chain([child], drawn) if each is not None and self._is_new(each))
            found += itertools.islice(new, 1)
        return found

    def _parents(self) -> list[list[int]]:
        """Places in the history of the youngest students of each stratum that has some."""
        largest = max((row.params for row in self.history), default=1)
        strata: list[list[int]] = [[] for _ in range(STRATA)]
        for place, row in enumerate(self.history):
            strata[stratum_of(row.params, largest)].append(place)
        return [stratum[-YOUNGEST:] for stratum in strata if stratum]

    def _child(self, parents: Sequence[int], scores: NDArray[np.float64]) -> Plain | None:
        first = self._best_of_a_few(parents, scores)
        if self.rng.random() < CROSSED:
            crossed = self.architectures.crossover(first, self._best_of_a_few(parents, scores), self.rng)
            if crossed is not None:
                return crossed
        return self.architectures.mutate(first, self.rng)

    def _best_of_a_few(self, parents: Sequence[int], scores: NDArray[np.float64]) -> Mapping[str, Any]:
        few = self.rng.choice(len(parents), size=min(TOURNAMENT, len(parents)), replace=False)
        best = max((parents[place] for place in few), key=lambda place: scores[place])
        winner: Mapping[str, Any] = self.history[best].student
        return winner
