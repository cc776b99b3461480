"""The funnel: its stages, in the order in which they run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from autokd.search.confirm.ablate import Ablate
from autokd.search.confirm.choose import Choose
from autokd.search.confirm.claim import MakeClaim
from autokd.search.confirm.select import Select
from autokd.search.confirm.tune import Tune
from autokd.search.explore.stages import Baselines, Explore
from autokd.search.screen.stage import Screen
from autokd.search.seed_noise import SeedNoise
from autokd.search.session import Session
from autokd.search.work import Scope, Work


class Stage(Protocol):
    """One step of the funnel. What it has done is in the study's records, so running it again does what is missing."""

    @property
    def name(self) -> str:
        """What its works and its seconds are called."""
        ...

    def work(self, scope: Scope) -> Sequence[Work]:
        """Return what the stage will do, before anything runs."""
        ...

    def run(self, session: Session) -> None:
        """Do what the records do not hold yet."""
        ...


STAGES: tuple[Stage, ...] = (
    Screen(),
    Baselines(),
    SeedNoise(),
    Explore(),
    Select(),
    Tune(),
    Choose(),
    MakeClaim(),
    Ablate(),
)


def works(scope: Scope) -> list[Work]:
    """Return what all stages will do."""
    return [work for stage in STAGES for work in stage.work(scope)]
