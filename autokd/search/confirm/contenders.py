"""The arms of a round of confirm: the pick, its matched baselines, and known recipes as published.

Two arms with the same pipeline are one, under the simpler one's name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from autokd.search.confirm.round import Round
from autokd.search.confirm.select import scores_of, selected_runs
from autokd.search.confirm.tune import tune_arms
from autokd.spec import PipelineSpec, fingerprint, to_plain
from autokd.study.arms import ALONE, HAND, HAND_KD, KD, PICK, phrase_of, simplicity
from autokd.study.ranking import ranked
from autokd.study.records import RunRecord, TrialRecord
from autokd.study.use import Option


@dataclass(frozen=True, kw_only=True)
class Contender:
    """An arm.

    Args:
      name, kind, recipe: see `autokd.study.claim.Arm`.
      spec: its pipeline.
      trial: that it is, where it was taken as it was tried.
      tuned: the runs of its grid, each with its point.
    """

    name: str
    kind: str
    spec: PipelineSpec
    recipe: str | None = None
    trial: TrialRecord | None = None
    tuned: tuple[tuple[str, RunRecord], ...] = ()

    @property
    def phrase(self) -> str:
        """What it is called inside a sentence."""
        return phrase_of(self.kind) if self.kind != HAND else f"{phrase_of(self.kind)} ({self.recipe})"

    @property
    def identity(self) -> str:
        """Says which pipeline it is."""
        return fingerprint(to_plain(self.spec))

    def option(self, scores: Iterable[float]) -> Option:
        """Return it with its scores, as something that may be recommended."""
        return Option(
            self.name, self.kind, self.phrase, self.spec.needs_teacher, list(scores), published=self.recipe is not None
        )


@dataclass(frozen=True, kw_only=True)
class Contenders:
    """All arms of a round.

    Args:
      arms: the simplest first.
      hand: name of the one that is the best recipe by hand; None where none finished.
      hand_kd: name of the one that is KD by hand; None where that failed, or there is no teacher.
    """

    arms: tuple[Contender, ...]
    hand: str | None
    hand_kd: str | None

    def __getitem__(self, name: str) -> Contender:
        """Return the arm of a name."""
        return next(arm for arm in self.arms if arm.name == name)


def tuned_contenders(round: Round, trial: TrialRecord) -> Contenders:
    """Return the pick and its matched baselines, tuned where there is time for it, and the best recipe by hand.

    Args:
      round: of confirm.
      trial: that select chose.
    """
    tuned = tune_arms(round, trial)
    own = (Contender(name=name, kind=name, spec=arm.spec, tuned=arm.runs) for name, arm in tuned.items())
    return _merged([*own, *_by_hand(round)])


def contenders_as_tried(round: Round, trial: TrialRecord) -> Contenders:
    """Return the chosen trial and the recipes by hand, all as they were tried.

    Args:
      round: of confirm.
      trial: that select chose.
    """
    pick = Contender(name=PICK, kind=PICK, spec=trial.spec, recipe=trial.published, trial=trial)
    alone = [_recipe_arm(ALONE, ALONE, there) for there in _recipes(round) if there.is_alone]
    return _merged([pick, *alone, *_by_hand(round)])


def _by_hand(round: Round) -> list[Contender]:
    """The best recipe by hand, and KD by hand where that is another one."""
    there = _recipes(round)
    best = [_recipe_arm(HAND, HAND, there[0])] if there else []
    return [*best, *(_recipe_arm(HAND_KD, HAND, trial) for trial in there[1:] if trial.recipe == KD)]


def _recipes(round: Round) -> list[TrialRecord]:
    """The trials that are known recipes by hand and did not fail: longest first, then finalists, then by mean score.

    By hand they are on the family that is known best, like KD and the student alone. That another one is better here is
    something that the search found.
    """
    trials = round.log.records.trials.values()
    families = {trial.pipeline["student"]["use"] for trial in trials if trial.is_baseline}
    there = ranked(trial for trial in trials if trial.published and trial.pipeline["student"]["use"] in families)
    usable = [trial for trial in there if round.context.teacher is not None or not trial.spec.needs_teacher]
    return sorted(usable, key=lambda trial: _standing(round, trial), reverse=True)


def _standing(round: Round, trial: TrialRecord) -> tuple[int, bool, float]:
    """How good a trial is known to be: how long it was trained, whether under several seeds, and its mean score."""
    return len(trial.rungs), bool(selected_runs(round, trial)), float(np.mean(scores_of(round, trial)))


def _recipe_arm(name: str, kind: str, trial: TrialRecord) -> Contender:
    return Contender(name=name, kind=kind, spec=trial.spec, recipe=trial.published, trial=trial)


def _merged(arms: Iterable[Contender]) -> Contenders:
    """Each pipeline once, under the simplest arm's name; it is a known recipe where any of them is.

    KD by hand beside the best recipe is there to be compared with alone, so that it gives way to any other.
    """
    order = sorted(arms, key=lambda arm: simplicity(arm.kind))
    every, distinct = sorted(order, key=lambda arm: arm.name == HAND_KD), dict[str, Contender]()
    for arm in every:
        first = distinct.setdefault(arm.identity, arm)
        recipe, trial = first.recipe or arm.recipe, first.trial or arm.trial
        distinct[arm.identity] = dataclasses.replace(first, recipe=recipe, trial=trial)
    return Contenders(
        arms=tuple(sorted(distinct.values(), key=lambda arm: simplicity(arm.kind))),
        hand=next((distinct[arm.identity].name for arm in every if arm.name == HAND), None),
        hand_kd=next((arm.name for arm in distinct.values() if arm.recipe == KD), None),
    )
