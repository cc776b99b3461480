"""Which pipeline is tried next: first a queue, then a quasi-random start, then TPE; a pure function of the records."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from autokd.errors import NothingFeasible
from autokd.networks.cost import Cost
from autokd.objective import ACCURACY, Objective
from autokd.search.baselines import distilling_losses, start_baseline
from autokd.search.explore.quasi_random import quasi_random
from autokd.search.limits import LatencyMeter, over, pipeline_cost, recorded_cost
from autokd.search.screen.screen import diverse_top, score_against
from autokd.search.screen.screener import Screener, key_of
from autokd.search.tpe.sampler import candidates
from autokd.seeds import derive
from autokd.space import Drawn, Space
from autokd.spec import fingerprint
from autokd.study.arms import BASELINE, baseline_kinds
from autokd.study.records import Records, Refused
from autokd.types import Shapes, Task

CANDIDATES = 8
"""Candidates drawn at each ask, of which the best screened one may be taken."""
SCREEN_PROBABILITY = 0.5
STARTUP = 10
"""Trials before TPE takes over."""
TRIES = 400
"""Draws that may fall outside the budget, or repeat a trial, before the ask looks elsewhere."""
TOLD = 8
"""At most so many suggestions outside the budget are recorded at each ask, for the sampler to learn from."""


class Proposal(NamedTuple):
    """A drawn pipeline, where it came from, and the suggestions that were refused before it."""

    source: str
    drawn: Drawn
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Proposer:
    """Proposes pipelines.

    Args:
      space: the resolved space.
      task: the task.
      records: the study's.
      screener: scores students at each ask.
      seed: the study's seed.
      offers: what the teacher offers; without one (None), baselines that read it are left out.
      objective: what the study is to be good at.
      meter: measures latencies, where they are bounded or an objective; else None.
      enqueue: screened students to try early.
    """

    space: Space
    task: Task
    records: Records
    screener: Screener
    seed: int
    offers: Shapes | None
    objective: Objective = ACCURACY
    meter: LatencyMeter | None = None
    enqueue: int = 3

    @property
    def has_teacher(self) -> bool:
        """Whether there is a teacher to learn from."""
        return self.offers is not None

    def propose(self, number: int) -> Proposal | None:
        """Return the pipeline of a trial, a pure function of space, records, seed and number.

        None where every pipeline inside the budget that is found was tried: the space is exhausted.
        """
        queue = self.queue()
        if number < len(queue):
            return queue[number]
        known = {fingerprint(trial.pipeline) for trial in self.records.trials.values()}
        if number < STARTUP:
            return self._start(known) or self._random(number, known)
        found, refused = self._suggested(number, known, CANDIDATES if self._screens(number) else 1)
        if found:
            return Proposal("tpe", self._best_screened(found), refused)
        return self._random(number, known, refused)

    def _start(self, known: set[str]) -> Proposal | None:
        """The first point of the quasi-random sequence that is inside the budget and not yet a trial."""
        points = itertools.islice(quasi_random(self.space, self.seed), TRIES)
        found = next(self._inside(points, known), None)
        return None if found is None else Proposal("quasi_random", found)

    def _suggested(self, number: int, known: set[str], count: int) -> tuple[list[Drawn], tuple[Refused, ...]]:
        """TPE's first suggestions that are inside the budget and no trials yet, and those that were refused before."""
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
        """Return the trials that come first: baselines, warm starts inside the budget, screened students."""
        default = self._inside_default()
        first = [
            Proposal(BASELINE + kind.name, start_baseline(default, kind, self.space))
            for kind in baseline_kinds(has_teacher=self.has_teacher)
        ]
        warm = [Proposal("warm_start", drawn) for drawn in self.space.warm_starts if self._fits(drawn)]
        top = diverse_top(self.records.screen, self.enqueue)
        with_top = (self._with_student(default, row.student) for row in top)
        screened = [Proposal("screen", drawn) for drawn in with_top if self._fits(drawn)]
        unique: dict[str, Proposal] = {}
        for proposal in [*first, *warm, *screened]:
            unique.setdefault(fingerprint(proposal.drawn.plain), proposal)
        return list(unique.values())

    def _inside_default(self) -> Drawn:
        """The space's default pipeline, with the best screened student where its own exceeds the budget."""
        default = self.space.default()
        simplest = baseline_kinds(has_teacher=False)[0]
        if self._fits(start_baseline(default, simplest, self.space)):
            return default
        return self._with_student(default, self.records.screen[0].student)

    def _with_student(self, drawn: Drawn, student: Mapping[str, Any]) -> Drawn:
        """A pipeline with another student, vanilla KD beside it where it may be, less the losses that may not."""
        plain = {**drawn.plain, "student": dict(student)}
        vanilla = distilling_losses() if self.has_teacher else {}
        if vanilla.keys() - plain["losses"]:
            with_kd = {**plain, "losses": {**plain["losses"], **vanilla}}
            plain = with_kd if self.space.params_of(with_kd) is not None else plain
        if self.space.params_of(plain) is None:
            least = {**plain, "losses": self.space.default().plain["losses"]}
            plain = least if self.space.params_of(least) is not None else plain
        return Drawn(plain, self.space.params_of(plain))

    def _random(self, number: int, known: set[str], refused: tuple[Refused, ...] = ()) -> Proposal | None:
        """A random pipeline; where hardly any student is inside the budget, one with a screened student."""
        rng = np.random.default_rng(derive(self.seed, "random", number))
        rows = self.records.screen
        students = (rows[(number + index) % len(rows)].student for index in range(TRIES // 4))
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
        """Return what the student of a pipeline costs, by name; its latency too, where it is looked at."""
        return recorded_cost(drawn.plain, self.task, self.offers, self.meter)

    def architecture_cost(self, pipeline: Mapping[str, Any]) -> Cost:
        """Return what follows from the architecture of a plain pipeline's student."""
        return pipeline_cost(pipeline, self.task, self.offers)

    def _fits(self, drawn: Drawn) -> bool:
        """Whether a pipeline's student, its head included, lies inside the budget."""
        return self._excess(drawn) <= 1

    def _excess(self, drawn: Drawn) -> float:
        """The largest cost as a multiple of its limit; latency is measured where all else lies inside the budget."""
        limits = self.space.constraints
        excess = over(self.architecture_cost(drawn.plain), limits)
        if excess > 1 or self.meter is None or "latency" not in limits:
            return excess
        return max(excess, self.meter(drawn.plain) / limits["latency"])

    def _screens(self, number: int) -> bool:
        """Whether a trial is the best screened one of several candidates, and not simply the first."""
        return bool(np.random.default_rng(derive(self.seed, "take", number)).random() < SCREEN_PROBABILITY)

    def _best_screened(self, found: list[Drawn]) -> Drawn:
        names, rows = self.screener.ranked_by, self.records.screen
        scored = {key_of(row.student): row.score for row in rows}

        def score(drawn: Drawn) -> float:
            student = drawn.plain["student"]
            known: float | None = scored.get(key_of(student))
            return score_against(rows, self.screener.values(student), names) if known is None else known

        return max(found, key=score)
