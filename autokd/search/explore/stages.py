"""Explore's two stages: the recipes by hand, and all other trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from autokd.search.explore.explorer import Explorer
from autokd.search.explore.propose import Proposer
from autokd.search.rungs import trial_epochs
from autokd.search.screen.again import Again, students_to_look_at
from autokd.search.screen.stage import SHARE, screener_of
from autokd.search.session import Session
from autokd.search.work import Scope, Work
from autokd.space.architectures import Architectures
from autokd.study.arms import baseline_kinds

POLICIES = 4
"""Augmentations that explore draws, about: the teacher's outputs are computed anew for each. Recipes have but one."""


@dataclass(frozen=True)
class Baselines:
    """Trains the recipes by hand up to the top rung: KD, and the student alone.

    In a study that ends with a trial, none is compared with them, and they are halved like all others.
    """

    name: str = "baselines"

    def work(self, scope: Scope) -> Sequence[Work]:
        """Return one run a baseline, as long as the top rung."""
        if scope.budget.ends_with_a_trial:
            return []
        kinds, epochs = baseline_kinds(has_teacher=scope.has_teacher), scope.budget.epochs
        reading = sum(kind.reads_teacher for kind in kinds)
        return [Work(stage=self.name, part="explore", runs=len(kinds), epochs=epochs, horizon=epochs, reading=reading)]

    def run(self, session: Session) -> None:
        """Train them, unless the study is past its baselines."""
        if not (session.is_exploring or session.budget.ends_with_a_trial):
            explore(session, min(session.baselines, session.most_trials))


@dataclass(frozen=True)
class Explore:
    """Tries pipelines by successive halving."""

    name: str = "explore"

    def work(self, scope: Scope) -> Sequence[Work]:
        """Return the trials beside the baselines, of which the best 1/eta of each rung go on."""
        budget = scope.budget
        spared = 0 if budget.ends_with_a_trial else len(baseline_kinds(has_teacher=scope.has_teacher))
        runs = max(0, budget.trials - spared)
        return [
            Work(
                stage=self.name,
                part="explore",
                runs=runs,
                epochs=trial_epochs(budget),
                horizon=budget.epochs,
                reading=runs,
                drawn=True,
                views=(1 if budget.only_recipes else POLICIES) * min(budget.views or budget.epochs, budget.epochs),
                pools=1,  # of views that change, no more than a share is asked about at a time
            )
        ]

    def run(self, session: Session) -> None:
        """Try pipelines until there are as many as asked for, or confirm needs the time."""
        explore(session, session.most_trials)


def explore(session: Session, trials: int) -> None:
    """Train trials until there are so many."""
    setup = session.setup
    screener, task = screener_of(session), setup.data.task
    again = Again(
        log=session.store.log,
        architectures=Architectures.of(setup.space, task),
        screener=screener,
        seed=session.seed,
        count=students_to_look_at(setup.budget, len(setup.data.train)),
        left=lambda: session.clock.left,
        notify=session.notify,
        meter=session.meter,
    )
    proposer = Proposer(
        space=setup.space,
        task=task,
        records=session.records,
        screener=screener,
        seed=session.seed,
        offers=session.offers,
        objective=setup.objective,
        meter=session.meter,
        enqueue=setup.space.screen.enqueue,
        recipes=setup.recipes,
        elsewhere=setup.recipes_elsewhere,
        advised=setup.advised,
        past=setup.past,
        students=setup.students,
        planned=setup.budget.trials,
        scoring=math.inf if session.clock.limit is None else SHARE * session.clock.limit,
    )
    explorer = Explorer(
        proposer=proposer,
        log=session.store.log,
        executor=session.executor,
        rung_epochs=session.rung_epochs,
        eta=setup.budget.eta,
        branch=setup.budget.branch,
        claims=not setup.budget.ends_with_a_trial,
        folder=session.store.path / "trials",
        slots=setup.identity.slots,
        max_failures=session.asked.max_failures,
        profile=session.context.profile,
        before_ask=again,
    )
    explorer.run(trials, session.may_begin, session.on_change)
