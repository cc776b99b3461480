"""On which family of students the known recipes are tried: what the better recipe by hand reaches on each says so.

A person stays with the family that is known best. Which one is best depends on the data and on how long runs are, and
families differ by more than losses do, so the largest student of each is tried once before the other recipes are.
Where past studies advised what to try, each family is tried with the recipe that they put first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from autokd.objective import ACCURACY, Objective
from autokd.recipes.rules import unaugmented
from autokd.space import Drawn
from autokd.study.arms import BASELINES
from autokd.study.pareto import finished_best_first
from autokd.study.past import PastStudies
from autokd.study.records import TrialRecord

FAMILY = "family"
"""Source of a trial that tries a family."""
Recipes = Mapping[str, Drawn]
"""Known recipes by name, in the order in which they are tried."""


class Scout(NamedTuple):
    """A recipe on another family, and the number of the trial that it was changed from."""

    drawn: Drawn
    base: int


@dataclass(frozen=True, kw_only=True)
class Families:
    """The known recipes on the largest student of each family.

    Args:
      recipes: on the family that is known best.
      others: on each of the other families.
      objective: says which is best here.
      advised: name of the recipe that past studies put first: families are tried with it; "": nothing was advised.
      past: what past studies advised, which gives the order of the recipes as long as the trials bear them out.
    """

    recipes: Recipes
    others: tuple[Recipes, ...] = ()
    objective: Objective = ACCURACY
    advised: str = ""
    past: PastStudies | None = None

    def scouts(self, trials: Mapping[int, TrialRecord]) -> Iterator[Scout]:
        """Yield a recipe on the other families: the advised one, once it is a trial, else the better one by hand.

        That one is without augmentation; nothing is yielded before it is known.
        """
        stem = self._stem(trials)
        if stem is not None:
            yield from (Scout(other[name], stem.number) for other in self.others for name in self._probe(stem, other))

    def left(self, trials: Mapping[int, TrialRecord]) -> list[tuple[str, Drawn]]:
        """Return the recipes beside those by hand, on the family that is best so far, with their names.

        What families are tried with comes first, on the family that is known best, like a scout. After it they come in
        the order that the past studies advise which the trials bear out; where none is left, first those with the
        augmentation that is best so far.
        """
        stem = self._stem(trials)
        best = None if stem is None else self._best(trials)
        first = [] if stem is None else self._probe(stem, self.recipes)
        family = self._family_of(best)
        rest = [name for name in self.recipes if name not in (*BASELINES, *first)]
        placed = [(name, family.get(name, self.recipes[name])) for name in rest]
        order = self._advised_order(trials)
        if order:
            placed.sort(key=lambda row: order.index(row[0]) if row[0] in order else len(order))
        elif best is not None:
            placed.sort(key=lambda row: row[1].plain["augment"]["use"] != best.pipeline["augment"]["use"])
        return [*((name, self.recipes[name]) for name in first), *placed]

    def _advised_order(self, trials: Mapping[int, TrialRecord]) -> list[str]:
        """Names of the recipes in the order that is advised now; [] where nothing was, or all of it proved wrong."""
        if self.past is None or not self.past.advised or not self.past.weights:
            return []
        from autokd.knowledge.order import believed, worth_trying

        advised, names = self.past.advised, [each.name for each in self.past.advised]
        said = np.array([each.said for each in advised]).T
        tried = {trial.recipe: trial for trial in trials.values() if trial.rungs and trial.recipe in names}
        scores = {names.index(str(name)): trial.rungs[0].score for name, trial in tried.items()}
        weights = believed(said, np.array(self.past.weights), scores)
        if not weights.any():
            return []
        begun = list(scores) or [0]
        return [names[place] for place in [*begun, *worth_trying(said, weights, begun)]]

    def _stem(self, trials: Mapping[int, TrialRecord]) -> TrialRecord | None:
        """The trial that scouts are changed from.

        The advised recipe, or else the better one by hand after its first rung; None while one of them has no score.
        """
        if self.advised:
            return next((trial for trial in trials.values() if trial.recipe == self.advised), None)
        by_hand = [trial for trial in trials.values() if trial.is_baseline]
        wanted = len(self.recipes.keys() & set(BASELINES))
        if len(by_hand) < wanted or any(not (trial.rungs or trial.failure) for trial in by_hand):
            return None
        return next(iter(finished_best_first(by_hand, 0, self.objective)), None)

    def _probe(self, stem: TrialRecord, recipes: Recipes) -> list[str]:
        """The recipe that a family is tried with: one by hand without augmentation where the family has it."""
        name = str(stem.recipe)
        names = (name,) if self.advised else (unaugmented(name), name)
        return [name for name in names if name in recipes][:1]

    def _best(self, trials: Mapping[int, TrialRecord]) -> TrialRecord | None:
        """The best, after the first rung, of the recipes by hand, and of what families are tried with, on any."""
        known = {self.advised, *(name for stem in BASELINES for name in (stem, unaugmented(stem)))}
        tried = (trial for trial in trials.values() if trial.source == FAMILY or trial.recipe in known)
        return next(iter(finished_best_first(tried, 0, self.objective)), None)

    def _family_of(self, best: TrialRecord | None) -> Recipes:
        """The recipes on the student of a trial."""
        if best is not None:
            student = best.pipeline["student"]
            for recipes in self.others:
                if any(drawn.plain["student"] == student for drawn in recipes.values()):
                    return recipes
        return self.recipes
