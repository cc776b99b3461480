"""Screen: students are ranked without training, once a study."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from autokd.engine.context import TrainContext
from autokd.networks.cost import student_cost
from autokd.search.population import FEW, population
from autokd.search.request import Progress
from autokd.search.screen.screen import screen
from autokd.search.screen.screener import Screener, usable_proxies
from autokd.search.session import Session, Setup
from autokd.search.work import Scope, Work
from autokd.spec import component_from_plain

log = logging.getLogger("autokd")

SHOWN = ("params", "macs", "nwot", "diswot")
"""Proxies whose values are recorded, whether or not the space ranks by them; latency would not be reproducible."""
SHARE = 0.05
"""Of the time left that screening may take."""


@dataclass(frozen=True)
class Screen:
    """Ranks the space's students."""

    name: str = "screen"

    def work(self, scope: Scope) -> Sequence[Work]:
        """Nothing is trained."""
        return []

    def run(self, session: Session) -> None:
        """Rank students inside the budget and record them, unless that is done or only known recipes are tried."""
        if session.records.screen or session.budget.trials <= len(session.setup.recipes):
            return
        setup, task = session.setup, session.setup.data.task
        students, share = population(setup.space, task, session.seed, meter=session.meter)
        if share < FEW:
            smallest = min(students, key=lambda s: student_cost(component_from_plain("students", s), task))
            log.warning(
                "only %.1f %% of the space's students lie inside the budget; the smallest is %s", 100 * share, smallest
            )
        end = (1 - SHARE) * session.clock.left
        rows = screen(
            make_screener(setup, session.context),
            students,
            lambda done, total: session.notify(Progress(stage="screen", done=done, total=total)),
            enough=lambda: session.clock.left < end,
        )
        session.store.log.append("screen", students=[dataclasses.asdict(row) for row in rows])


def make_screener(setup: Setup, context: TrainContext, shown: Sequence[str] = SHOWN) -> Screener:
    """Return what scores students, with the proxies that the space ranks by and those shown, where they can run."""
    ranked_by = usable_proxies(setup.space.screen.proxies, context)
    names = tuple(dict.fromkeys([*ranked_by, *usable_proxies(shown, context)]))
    return Screener(context=context, proxies=names, ranked_by=ranked_by, seed=setup.identity.seed)
