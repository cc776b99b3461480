"""Asynchronous successive halving with promotion from checkpoints: what to do next, as a pure function of the records.

Source: Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020 (ASHA).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from autokd.objective import ACCURACY, Objective
from autokd.study.pareto import dominators, finished_best_first
from autokd.study.records import TrialRecord


class Job(NamedTuple):
    """What to do next: train a rung of a trial, or (rung None) ask for a new trial of this number."""

    number: int
    rung: int | None


@dataclass(frozen=True, kw_only=True)
class Halving:
    """What decides which trials go on.

    Args:
      top_rung: index of the longest rung.
      eta: the best 1/eta of a rung go on.
      spares_baselines: the recipes by hand go on to the top whatever they are worth.
      objective: says which are the best.
    """

    top_rung: int
    eta: int
    spares_baselines: bool = True
    objective: Objective = ACCURACY

    @property
    def spared(self) -> int:
        """The highest rung that the recipes by hand reach in any case; -1: none."""
        return self.top_rung if self.spares_baselines else -1


def next_job(
    trials: Mapping[int, TrialRecord],
    in_flight: Iterable[tuple[int, int]],
    halving: Halving,
    *,
    wanted: int,
    waits: bool = False,
) -> Job | None:
    """Return the next job of an asynchronous successive halving, or None where there is none at present.

    Args:
      trials: by number.
      in_flight: (trial, rung) of what runs already.
      halving: says which go on.
      wanted: number of trials to ask for in all.
      waits: none goes on by comparison yet.
    """
    running = {number for number, _ in in_flight}
    alive = [trial for trial in trials.values() if trial.failure is None]
    idle = [trial for trial in alive if trial.number not in running]
    begun = next((Job(t.number, len(t.rungs)) for t in idle if _goes_on_at_once(t, halving.spared)), None)
    promoted = begun or (None if waits else next(_promotions(alive, idle, halving), None))
    return promoted or (Job(len(trials), None) if len(trials) < wanted else None)


def climb(trials: Mapping[int, TrialRecord], in_flight: Iterable[tuple[int, int]], halving: Halving) -> Job | None:
    """Return the next rung of the best known recipe on its way to the top, beside those that are spared.

    However few recipes there are, one of them is trained to the end; where none is spared, it is the best of all
    trials. None where one is there, where none is left, and while the rung of one is under way. It is for the caller
    to see that no recipe is still to be asked.

    Args:
      trials, in_flight, halving: as for `next_job`.
    """
    recipes = _climbing(trials.values(), halving)
    if {trial.number for trial in recipes} & {number for number, _ in in_flight}:
        return None
    best = _best_recipe(recipes, halving.objective)
    return None if best is None or len(best.rungs) > halving.top_rung else Job(best.number, len(best.rungs))


def _climbing(trials: Iterable[TrialRecord], halving: Halving) -> list[TrialRecord]:
    """The known recipes that did not fail and are not spared; where none is, all trials that did not fail."""
    alive = [trial for trial in trials if trial.failure is None]
    return [trial for trial in alive if trial.recipe and not trial.is_baseline] if halving.spares_baselines else alive


def _best_recipe(recipes: Sequence[TrialRecord], objective: Objective) -> TrialRecord | None:
    """The best of the recipes that went furthest; None where none has a score."""
    furthest = max((len(trial.rungs) for trial in recipes), default=0)
    return finished_best_first(recipes, furthest - 1, objective)[0] if furthest else None


def _promotions(alive: Sequence[TrialRecord], idle: Sequence[TrialRecord], halving: Halving) -> Iterator[Job]:
    """The trials that wait and are among the best 1/eta of their rung, from the highest rung down."""
    waiting = {trial.number: len(trial.rungs) - 1 for trial in idle}
    for rung in _waiting_rungs(idle, halving.top_rung, reverse=True):
        best = _best_share(alive, rung, halving)
        yield from (Job(trial.number, rung + 1) for trial in best if waiting.get(trial.number) == rung)


def _best_share(trials: Sequence[TrialRecord], rung: int, halving: Halving) -> list[TrialRecord]:
    """The best 1/eta of the trials that finished a rung."""
    finished = finished_best_first(trials, rung, halving.objective)
    return finished[: len(finished) // halving.eta]


def _goes_on_at_once(trial: TrialRecord, spared: int) -> bool:
    """Whether a trial goes on without a comparison: up to its first score, and a baseline up to the rung `spared`."""
    return not trial.rungs or (trial.is_baseline and len(trial.rungs) <= spared)


def _waiting_rungs(trials: Iterable[TrialRecord], top_rung: int, *, reverse: bool = False) -> list[int]:
    """The rungs below the top that some trial has reached and waits at."""
    return sorted({len(trial.rungs) - 1 for trial in trials} & {*range(top_rung)}, reverse=reverse)


def hopeless_trials(trials: Mapping[int, TrialRecord], halving: Halving, *, wanted: int) -> list[int]:
    """Return the paused trials that will not go on, whatever the trials to come are worth.

    With one objective, those before a trial stay before it; with several, those that dominate it do. The best known
    recipe goes on in any case; see `climb`.

    Args:
      trials, halving, wanted: as for `next_job`.
    """
    objective = halving.objective
    hopeless_ones = []
    for rung in _waiting_rungs((trial for trial in trials.values() if trial.failure is None), halving.top_rung):
        finished = finished_best_first(trials.values(), rung, objective)
        room = max(wanted, len(finished)) // halving.eta
        before = dominators(finished, rung, objective) if objective.several else range(len(finished))
        behind = [trial for trial, number in zip(finished, before, strict=True) if number >= room]
        hopeless_ones += [trial.number for trial in behind if len(trial.rungs) == rung + 1]
    best = _best_recipe(_climbing(trials.values(), halving), objective)
    return [number for number in hopeless_ones if best is None or number != best.number]
