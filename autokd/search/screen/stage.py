"""Screen: which of the space's students are tried early, without training any, once a study."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autokd.networks.cost import student_cost
from autokd.search.population import FEW, population
from autokd.search.request import Progress
from autokd.search.screen.screen import screen
from autokd.search.screen.screener import SHOWN, Screener, declared, make_screener
from autokd.search.session import Session
from autokd.search.work import Scope, Work
from autokd.spec import component_from_plain
from autokd.study.choice import ScreenedStudent, Screening
from autokd.study.proxies import SIZES, deciding, worth_of_proxies

log = logging.getLogger("autokd")

SHARE = 0.05
"""Of the time left that screening may take."""


@dataclass(frozen=True)
class Screen:
    """Chooses the students that are tried early."""

    name: str = "screen"

    def work(self, scope: Scope) -> Sequence[Work]:
        """Nothing is trained."""
        return []

    def run(self, session: Session) -> None:
        """Screen students inside the budget and record them, unless that is done or only known recipes are tried."""
        if session.records.screen or session.budget.trials <= len(session.setup.recipes):
            return
        setup, task = session.setup, session.setup.data.task
        end = (1 - SHARE) * session.clock.left
        students, share = population(setup.space, task, session.seed, meter=session.meter)
        if share < FEW:
            smallest = min(students, key=lambda s: student_cost(component_from_plain("students", s), task))
            log.warning(
                "only %.1f %% of the space's students lie inside the budget; the smallest is %s", 100 * share, smallest
            )
        screener, by = screener_of(session), deciding(worth_of_proxies(session.records))
        tell_left_out(screener.left_out, setup.space.screen.proxies)
        screening = Screening(screener.left_out, lower_of(screener.proxies), len(students), by)
        rows = screen(
            screener,
            students,
            lambda done, total: session.notify(Progress(stage="screen", done=done, total=total)),
            by=by,
            lower=screening.lower_is_better,
            enough=lambda: session.clock.left < end,
        )
        tell_not_finite(rows)
        session.store.log.append("screen", students=[dataclasses.asdict(row) for row in rows], **screening.to_plain())


def screener_of(session: Session) -> Screener:
    """Return what scores a study's students, on all processors that the search was given.

    What it has found is kept in the study's folder, for later stages and sessions.
    """
    processes, kept = session.setup.threads * (session.asked.workers or 1), session.store.path / "scores.jsonl"
    wanted = [*session.setup.space.screen.proxies, *SHOWN]
    return make_screener(wanted, session.context, session.seed, kept=kept, processes=processes)


def lower_of(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the proxies of which less is better."""
    return tuple(name for name in names if name not in SIZES and not declared(name).higher_is_better)


def tell_left_out(left_out: Mapping[str, str], named: Sequence[str]) -> None:
    """Say which proxies cannot be used; aloud where the space names them."""
    for name, reason in left_out.items():
        log.log(logging.WARNING if name in named else logging.INFO, "the proxy %s is left out: %s", name, reason)


def tell_not_finite(rows: Sequence[ScreenedStudent]) -> None:
    """Say which proxies gave no finite number."""
    for name in dict.fromkeys(name for row in rows for name in row.not_finite):
        count = sum(name in row.not_finite for row in rows)
        log.warning(
            "the proxy %s gave no finite number for %d of %d students; they count as its worst", name, count, len(rows)
        )
