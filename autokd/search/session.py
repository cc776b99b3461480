"""What the stages of the funnel share while a search runs."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from autokd.data import Dataset
from autokd.engine.context import TrainContext
from autokd.execution.executor import Executor
from autokd.objective import Objective
from autokd.recipes import Portfolio
from autokd.search.limits import LATENCY, TORCH, Measures, Meter
from autokd.search.progress import confirmed, explored, is_claimed
from autokd.search.request import Notify, Request
from autokd.search.runs import Runner
from autokd.search.timing.clock import Clock, seconds_per_epoch
from autokd.search.work import Scope, Work, Works, run_total, sizes_of, total_epochs
from autokd.space import Budget, Drawn, Space
from autokd.study.arms import BASELINES
from autokd.study.past import PastStudies
from autokd.study.records import Records
from autokd.study.settings import Identity, Setting, TimePlan
from autokd.study.store import StudyStore
from autokd.types import Shapes, Teacher

if TYPE_CHECKING:
    from autokd.search.tpe.mirror import Mirror  # Optuna is slow to import

SLACK = 1.5
"""Times the planned trials that explore may try where time is left over."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """Everything that a search has before the first trial.

    Args:
      data: the dataset.
      space: the resolved space.
      space_text: its file, verbatim.
      teacher: the teacher; None in a dry run.
      teacher_line, teacher_remarks: what was found of a given teacher; see `autokd.teaching.checked.Checked`.
      offers: what the teacher offers.
      budget: resolved.
      device: the device.
      identity: what makes the study this study.
      settings: every option and what else the search depends on, by name.
      threads: that a rung computes on.
      objective: what the study is to be good at.
      time_plan: how the study fits into its time, or None.
      latencies: milliseconds that were already measured, by `autokd.search.limits.network_key`.
      portfolio: the known recipes in this space.
      elsewhere: the known recipes on the largest student of each other family.
      students: the largest student of each family, plain.
      dropped: what was left out of the space, one line each.
      latency_with: what latencies are measured with.
      past: what past studies advised; None where none were asked.
      begun: the pretrained network whose training makes the teacher; None: there is no such.
    """

    data: Dataset
    space: Space
    space_text: str
    teacher: Teacher | None
    offers: Shapes
    budget: Budget
    device: torch.device
    identity: Identity
    settings: Mapping[str, Setting]
    threads: int
    objective: Objective
    time_plan: TimePlan | None
    latencies: Mapping[str, float]
    portfolio: Portfolio
    elsewhere: tuple[Portfolio, ...]
    students: tuple[Mapping[str, Any], ...]
    dropped: tuple[str, ...]
    latency_with: str = TORCH
    teacher_line: str = ""
    teacher_remarks: tuple[str, ...] = ()
    past: PastStudies | None = None
    begun: Teacher | None = None

    @property
    def recipes(self) -> dict[str, Drawn]:
        """The known recipes that come first, by name, those by hand before all.

        They are as many as the budget says; all where it has no trials beyond them: time left over goes to more then.
        """
        most = None if self.budget.only_recipes else max(self.budget.recipes, len(BASELINES))
        return {recipe.rule.name: recipe.drawn for recipe in self.portfolio.recipes[:most]}

    @property
    def recipes_elsewhere(self) -> tuple[dict[str, Drawn], ...]:
        """The known recipes on the largest student of each other family, by name."""
        return tuple({recipe.rule.name: recipe.drawn for recipe in each.recipes} for each in self.elsewhere)

    @property
    def advised(self) -> str:
        """Name of the recipe that past studies put first; "" where they advised none."""
        known = None if self.past is None else self.past.rule
        return "" if known is None else next((name for name in self.recipes if known(name)), "")

    @property
    def measures(self) -> Measures:
        """What is measured of a student before it is trained."""
        return what_to_measure(self.objective, self.space, self.latency_with)

    @property
    def scope(self) -> Scope:
        """What stages are told when they say what they will do; a teacher that is still to be trained counts."""
        return Scope(budget=self.budget)


def what_to_measure(objective: Objective, space: Space, latency_with: str) -> Measures:
    """Return what is measured of students: their latency where it is bounded or an objective, their form in 8 bits."""
    latency = LATENCY in objective.names or LATENCY in space.constraints
    return Measures(latency, latency_with, objective.metric.quantised)


@dataclass(frozen=True, kw_only=True)
class Session:
    """One run of a search on a study.

    Args:
      store: the study.
      asked: what the user asked for.
      setup: what was prepared from it.
      context: data, teacher and device, as rungs see them.
      executor: trains.
      clock: how much time is left.
      notify: tells the user.
      mirror: shows the study to dashboards.
      works: what all stages will do.
      meter: measures what does not follow from a student's form, where that counts; else None.
    """

    store: StudyStore
    asked: Request
    setup: Setup
    context: TrainContext
    executor: Executor
    clock: Clock
    notify: Notify
    mirror: Mirror
    works: Works
    meter: Meter | None

    @property
    def records(self) -> Records:
        """The study's records."""
        return self.store.records

    @property
    def seed(self) -> int:
        """The study's seed."""
        return self.setup.identity.seed

    @property
    def budget(self) -> Budget:
        """How long things are trained."""
        return self.setup.budget

    @property
    def objective(self) -> Objective:
        """What the study is to be good at."""
        return self.setup.objective

    @property
    def offers(self) -> Shapes | None:
        """What the teacher offers; None without a teacher."""
        return None if self.setup.teacher is None else self.setup.teacher.offers

    @property
    def rung_epochs(self) -> list[int]:
        """Epochs at the end of each rung."""
        return list(self.setup.identity.rungs)

    @property
    def baselines(self) -> int:
        """Recipes that are trained to the end whatever they are worth: hand KD and the student alone."""
        return sum(name in BASELINES for name in self.setup.recipes)

    @property
    def is_exploring(self) -> bool:
        """Whether the study has trials beyond its baselines."""
        return len(self.records.trials) > self.baselines

    @property
    def most_trials(self) -> int:
        """Trials that explore tries, at most: those planned, and more where time is left over.

        A study that was planned for a few known recipes alone goes on to the others, on each family.
        """
        planned = self.budget.trials
        if self.asked.time is None or self.asked.trials is not None:
            return planned
        known = len(self.setup.recipes) + len(self.setup.elsewhere)
        return max(int(SLACK * planned), known) if self.budget.only_recipes else int(SLACK * planned)

    @property
    def is_claimed(self) -> bool:
        """Whether the newest claim is about all trials that there are."""
        return is_claimed(self.records)

    @property
    def pace(self) -> float:
        """Seconds of an epoch, over the trials that went furthest."""
        return seconds_per_epoch(self.records.trials.values())

    def runner(self, on_change: Callable[[], None]) -> Runner:
        """Return what trains runs outside explore's trials; `on_change` is called after each."""
        return Runner(
            log=self.store.log,
            executor=self.executor,
            folder=self.store.path / "confirm",
            on_change=on_change,
            worst=self.objective.metric.worst_score,
        )

    def may_begin(self, seconds: float) -> bool:
        """Whether a rung that takes so long may begin, so that confirm can still follow; the baselines' always may."""
        if sum(bool(trial.rungs or trial.failure) for trial in self.records.trials.values()) < self.baselines:
            return True
        return self.clock.left_to_explore(self.records, self._confirm_epochs) >= seconds

    def on_change(self) -> None:
        """Update the mirror, and tell where explore stands."""
        with self.context.profile.part("storage"):
            self.mirror.update()
        self.notify(explored(self.records, self.objective, self.budget.trials))

    def on_confirm_change(self) -> None:
        """Update the mirror, and tell where confirm stands."""
        self.mirror.update()
        self.tell_confirm()

    def tell_confirm(self) -> None:
        """Tell where confirm stands."""
        self.notify(confirmed(self.records, self.objective, run_total(self._confirm_works)))

    @contextlib.contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Record the wall time of a stage."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.store.log.append("seconds", stage=stage, seconds=round(time.monotonic() - began, 3))

    @functools.cached_property
    def _confirm_works(self) -> list[Work]:
        return [work for work in self.works(self.setup.scope) if work.part == "confirm"]

    @functools.cached_property
    def _confirm_epochs(self) -> float:
        return total_epochs(self._confirm_works, sizes_of(self.setup.data), self.executor.capacity)
