"""Which pipeline is tried next: known recipes on the best family, then a design around the best of them, then TPE.

All of it is a pure function of the records.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from autokd.errors import NothingFeasible
from autokd.networks.cost import Cost
from autokd.objective import ACCURACY, Objective
from autokd.search.baselines import distilling_losses
from autokd.search.explore.design import DESIGN, MainEffects, options_of
from autokd.search.explore.families import FAMILY, Families, Recipes
from autokd.search.limits import Meter, excess_of, pipeline_cost, recorded_cost
from autokd.search.screen.screen import Standards
from autokd.search.screen.screener import Screener
from autokd.seeds import derive
from autokd.space import Budget, Drawn, Space, restarted
from autokd.spec import fingerprint, without_idle
from autokd.study.arms import BASELINES, RECIPE
from autokd.study.choice import ScreenedStudent
from autokd.study.past import PastStudies
from autokd.study.proxies import SIZES, key_of, scored
from autokd.study.records import Records, Refused
from autokd.types import Shapes, Task

CANDIDATES = 8
"""Candidates drawn at each ask, of which the one with the best student may be taken."""
SCREEN_PROBABILITY = 0.5
RANDOM = 0.1
"""Share of TPE's asks that are drawn at random instead, so that nothing is ruled out by what a few trials said."""
STARTUP = 10
"""Trials that TPE needs to begin with; where recipes and design are fewer, random draws make up for them."""
DESIGN_SHARE = 0.5
"""Of the planned trials that the design may take."""
EVOLVED = "screen"
"""Source of a trial whose student was evolved."""
TRIES = 400
"""Draws that may fall outside the budget, or repeat a trial, before the ask looks elsewhere."""
TOLD = 8
"""At most so many suggestions outside the budget are recorded at each ask, for the sampler to learn from."""


class Proposal(NamedTuple):
    """A drawn pipeline.

    Args:
      source: where it came from; see `autokd.study.records.TrialRecord`.
      drawn: the pipeline.
      refused: the suggestions that were refused before it.
      base: number of the trial that it was changed from, or None.
    """

    source: str
    drawn: Drawn
    refused: tuple[Refused, ...] = ()
    base: int | None = None


@dataclass(frozen=True, kw_only=True)
class Proposer:
    """Proposes pipelines.

    Args:
      space: the resolved space.
      task: the task.
      records: the study's.
      screener: scores students at each ask.
      seed: the study's seed.
      offers: what the teacher offers; None without one.
      objective: what the study is to be good at.
      meter: measures what does not follow from a student's form, where that counts; else None.
      enqueue: screened students that are options of the design, the first ones.
      recipes: the known recipes that come first, by name; they lie inside the budget.
      elsewhere: the same on the largest student of each other family.
      advised: name of the recipe that past studies put first, or "".
      past: what past studies advised, or None.
      students: further options of the design for the student: the largest of each family.
      planned: trials that the study is to have.
      scoring: seconds that scoring the students of trials may take.
    """

    space: Space
    task: Task
    records: Records
    screener: Screener
    seed: int
    offers: Shapes | None
    objective: Objective = ACCURACY
    meter: Meter | None = None
    enqueue: int = 3
    recipes: Recipes = field(default_factory=dict)
    elsewhere: tuple[Recipes, ...] = ()
    advised: str = ""
    past: PastStudies | None = None
    students: tuple[Mapping[str, Any], ...] = ()
    planned: int = Budget.trials
    scoring: float = math.inf

    @property
    def has_teacher(self) -> bool:
        """Whether there is a teacher."""
        return self.offers is not None

    def propose(self, number: int) -> Proposal | None:
        """Return the pipeline of a trial, a pure function of space, records, seed and number.

        None where every pipeline inside the budget that is found was tried: the space is exhausted.
        """
        known = {fingerprint(trial.pipeline) for trial in self.records.trials.values()}
        return self._waiting(known) or self._designed(number, known) or self._searched(number, known)

    def _waiting(self, known: set[str]) -> Proposal | None:
        """The first of the queue that is no trial yet; a recipe is one under its name, whatever its values were."""
        tried = {trial.recipe for trial in self.records.trials.values() if trial.recipe}
        left = (proposal for proposal in self.queue() if fingerprint(proposal.drawn.plain) not in known)
        return next((proposal for proposal in left if proposal.source.removeprefix(RECIPE) not in tried), None)

    @property
    def has_recipes_left(self) -> bool:
        """Whether a known recipe is still to be asked."""
        return bool(self.recipes.keys() - {trial.recipe for trial in self.records.trials.values()})

    def _designed(self, number: int, known: set[str]) -> Proposal | None:
        """The next trial of the design, while it lasts."""
        trials = list(self.records.trials.values())
        found = self._design.propose(trials, number, lambda drawn: bool(list(self._inside([drawn], known))))
        return None if found is None else Proposal(DESIGN, found.drawn, base=found.base)

    @functools.cached_property
    def _design(self) -> MainEffects:
        screened = (row.student for row in self.records.screen[: self.enqueue])
        return MainEffects(
            space=self.space,
            options=options_of(self.space, [*self.students, *screened]),
            most=int(DESIGN_SHARE * self.planned),
            seed=self.seed,
            objective=self.objective,
        )

    def _searched(self, number: int, known: set[str]) -> Proposal | None:
        """What TPE suggests, or at some asks a random pipeline."""
        if number < STARTUP or self._chance("random", number) < RANDOM:
            return self._random(number, known)
        found, refused = self._suggested(number, known, CANDIDATES if self._screens(number) else 1)
        if found:
            evolved = self._evolved(found[0], known) if self._screens(number) else None
            best = self._best_screened([*found, *([] if evolved is None else [evolved])])
            return Proposal(EVOLVED if best is evolved else "tpe", best, refused)
        return self._random(number, known, refused)

    def _suggested(self, number: int, known: set[str], count: int) -> tuple[list[Drawn], tuple[Refused, ...]]:
        """TPE's first suggestions that are inside the budget and no trials yet, and those that were refused before."""
        from autokd.search.tpe.sampler import candidates  # Optuna is slow to import

        records = self.records
        stream = candidates(
            self.space,
            records.trials.values(),
            seed=self.seed,
            number=number,
            refused=records.refused,
            objective=self.objective,
        )
        found: list[Drawn] = []
        refused: list[Refused] = []
        for drawn in itertools.islice(stream, TRIES // 4):
            excess = self._excess(drawn)
            if excess > 1:
                refused.append(Refused(params=drawn.params or {}, excess=excess))
            elif fingerprint(drawn.plain) not in known:
                found.append(drawn)
            if len(found) == count:
                break
        return found, tuple(refused[:TOLD])

    def queue(self) -> list[Proposal]:
        """Return the trials that come first.

        These are the recipes by hand, one of them, or what past studies put first, on each family, the other known
        recipes on the family that is best so far, then the space file's warm starts inside the budget.
        """
        trials = self.records.trials
        families = Families(
            recipes=self.recipes,
            others=self.elsewhere,
            objective=self.objective,
            advised=self.advised,
            past=self.past,
        )
        by_hand = [Proposal(RECIPE + name, self.recipes[name]) for name in BASELINES if name in self.recipes]
        scouts = [Proposal(FAMILY, scout.drawn, base=scout.base) for scout in families.scouts(trials)]
        recipes = [Proposal(RECIPE + name, drawn) for name, drawn in families.left(trials)]
        warm = [Proposal("warm_start", drawn) for drawn in self.space.warm_starts if self._fits(drawn)]
        unique: dict[str, Proposal] = {}
        for proposal in [*by_hand, *scouts, *recipes, *warm]:
            unique.setdefault(fingerprint(proposal.drawn.plain), proposal)
        return list(unique.values())

    def _with_student(self, drawn: Drawn, student: Mapping[str, Any]) -> Drawn:
        """A pipeline with another student, vanilla KD beside it where it may be, less the losses that may not."""
        plain = restarted(self.space, {**drawn.plain, "student": dict(student)}, drawn.plain, ["student"])
        vanilla = distilling_losses() if self.has_teacher else {}
        if vanilla.keys() - plain["losses"]:
            with_kd = {**plain, "losses": {**plain["losses"], **vanilla}}
            plain = with_kd if self.space.params_of(with_kd) is not None else plain
        if self.space.params_of(plain) is None:
            least = without_idle({**plain, "losses": self.space.default().plain["losses"]}, self.space.slots)
            plain = least if self.space.params_of(least) is not None else plain
        return Drawn(plain, self.space.params_of(plain))

    def _random(self, number: int, known: set[str], refused: tuple[Refused, ...] = ()) -> Proposal | None:
        """A random pipeline; where hardly any student is inside the budget, one with a screened student."""
        rng = np.random.default_rng(derive(self.seed, "random", number))
        rows = self.records.screen
        students = (rows[(number + index) % len(rows)].student for index in range(TRIES // 4) if rows)
        draws = itertools.chain(
            (self.space.sample(rng, number) for _ in range(TRIES)),
            (self._with_student(self.space.sample(rng, number), student) for student in students),
            (self._with_student(self.space.default(), row.student) for row in rows),
        )
        legal = (drawn for drawn in draws if drawn.params is not None)
        found = next(self._inside(legal, known), None)
        if found is not None:
            return Proposal("random", found, refused)
        if not known:
            raise NothingFeasible("no pipeline of the space lies inside the budget")
        return None

    def _inside(self, draws: Iterable[Drawn], known: set[str]) -> Iterator[Drawn]:
        """Those inside the budget that are not yet trials."""
        return (drawn for drawn in draws if self._fits(drawn) and fingerprint(drawn.plain) not in known)

    def cost_of(self, drawn: Drawn) -> dict[str, float]:
        """Return what the student of a pipeline costs, by name; and what is measured of it."""
        return recorded_cost(drawn.plain, self.task, self.offers, self.meter)

    def architecture_cost(self, pipeline: Mapping[str, Any]) -> Cost:
        """Return what follows from the architecture of a plain pipeline's student."""
        return pipeline_cost(pipeline, self.task, self.offers)

    def _fits(self, drawn: Drawn) -> bool:
        """Whether a pipeline's student, its head included, lies inside the budget, and sees its input."""
        return self._excess(drawn) <= 1

    def _excess(self, drawn: Drawn) -> float:
        """The largest cost as a multiple of its limit; what is measured is so where all else lies inside the budget."""
        limits = self.space.constraints
        excess = excess_of(drawn.plain, self.task, self.offers, limits)
        return excess if excess > 1 or self.meter is None else max(excess, self.meter.excess(drawn.plain, limits))

    def _screens(self, number: int) -> bool:
        """Whether a trial is the best screened one of several candidates, and not simply the first."""
        return self._chance("take", number) < SCREEN_PROBABILITY

    def _chance(self, what: str, number: int) -> float:
        """A number in [0, 1) that belongs to one decision about one trial."""
        return float(np.random.default_rng(derive(self.seed, what, number)).random())

    def newly_screened(self, drawn: Drawn) -> ScreenedStudent | None:
        """Return what the proxies say of a pipeline's student, sizes alone once they took their time; None: known."""
        student, screener = drawn.plain["student"], self.screener
        names = screener.proxies if self._may_score else screener.sizes
        known = self._screened.get(key_of(student))
        return None if known is not None and known.proxies.keys() >= {*names} else screener.screened(student, names)

    @property
    def _may_score(self) -> bool:
        """Whether scoring the students of trials has not taken its time yet; a search that was killed knows it too."""
        tried = (trial.pipeline["student"] for trial in self.records.trials.values())
        return math.isinf(self.scoring) or self.screener.seconds_of(tried) < self.scoring

    def _best_screened(self, found: list[Drawn]) -> Drawn:
        """The pipeline whose student is the best by what decides in this study; see `autokd.study.proxies`."""
        known, standard = self._screened, self._standards.of(self.records)
        return max(found, key=lambda drawn: standard.score(drawn.plain["student"], known, self.screener))

    def _evolved(self, drawn: Drawn, known: set[str]) -> Drawn | None:
        """A pipeline with the first evolved student that no trial has; None before any was evolved for what decides."""
        by, screening = self._standards.of(self.records).by, self.records.screening
        if by != screening.by or not set(by) - {*SIZES}:
            return None
        tried = {key_of(trial.pipeline["student"]) for trial in self.records.trials.values()}
        students = (row.student for row in self.records.screen if key_of(row.student) not in tried)
        draws = (self._with_student(drawn, student) for student in students)
        return next(self._inside((each for each in draws if each.params is not None), known), None)

    @property
    def _screened(self) -> dict[str, ScreenedStudent]:
        return {key_of(row.student): row for row in scored(self.records)}

    @functools.cached_property
    def _standards(self) -> Standards:
        """What students are compared by, as the study goes on."""
        return Standards()
