"""Asynchronous successive halving with promotion from checkpoints: what to do next, as a pure function of the records.

Source: Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020 (ASHA).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from autokd.objective import ACCURACY, Objective
from autokd.study.pareto import dominators, finished_best_first
from autokd.study.records import TrialRecord


class Job(NamedTuple):
    """What to do next: train a rung of a trial, or (rung None) ask for a new trial of this number."""

    number: int
    rung: int | None


def next_job(
    trials: Mapping[int, TrialRecord],
    in_flight: Iterable[tuple[int, int]],
    *,
    wanted: int,
    top_rung: int,
    eta: int,
    objective: Objective = ACCURACY,
) -> Job | None:
    """Return the next job of an asynchronous successive halving, or None where there is none at present.

    Args:
      trials: by number.
      in_flight: (trial, rung) of what runs already.
      wanted: number of trials to ask for in all.
      top_rung: index of the longest rung.
      eta: the best 1/eta of a rung go on.
      objective: says which are the best.
    """
    running = {number for number, _ in in_flight}
    alive = [trial for trial in trials.values() if trial.failure is None]
    idle = [trial for trial in alive if trial.number not in running]
    begun = next((Job(trial.number, len(trial.rungs)) for trial in idle if _goes_on_at_once(trial, top_rung)), None)
    promoted = begun or next(_promotions(alive, idle, top_rung, eta, objective), None)
    return promoted or (Job(len(trials), None) if len(trials) < wanted else None)


def climb(
    trials: Mapping[int, TrialRecord],
    in_flight: Iterable[tuple[int, int]],
    *,
    top_rung: int,
    objective: Objective = ACCURACY,
) -> Job | None:
    """Return the next rung of the best known recipe beside the baselines, on its way to the top.

    However few recipes there are, one of them is trained to the end. None where one is there, where none is left, and
    while the rung of one is under way. It is for the caller to see that no recipe is still to be asked.

    Args:
      trials, in_flight, top_rung, objective: as for `next_job`.
    """
    recipes = _climbing(trials.values())
    if {trial.number for trial in recipes} & {number for number, _ in in_flight}:
        return None
    best = _best_recipe(recipes, objective)
    return None if best is None or len(best.rungs) > top_rung else Job(best.number, len(best.rungs))


def _climbing(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The known recipes beside the baselines that did not fail."""
    return [trial for trial in trials if trial.recipe and not trial.is_baseline and trial.failure is None]


def _best_recipe(recipes: Sequence[TrialRecord], objective: Objective) -> TrialRecord | None:
    """The best of the recipes that went furthest; None where none has a score."""
    furthest = max((len(trial.rungs) for trial in recipes), default=0)
    return finished_best_first(recipes, furthest - 1, objective)[0] if furthest else None


def _promotions(
    alive: Sequence[TrialRecord], idle: Sequence[TrialRecord], top_rung: int, eta: int, objective: Objective
) -> Iterator[Job]:
    """The trials that wait and are among the best 1/eta of their rung, from the highest rung down."""
    waiting = {trial.number: len(trial.rungs) - 1 for trial in idle}
    for rung in _waiting_rungs(idle, top_rung, reverse=True):
        best = _best_share(alive, rung, eta, objective)
        yield from (Job(trial.number, rung + 1) for trial in best if waiting.get(trial.number) == rung)


def _best_share(trials: Sequence[TrialRecord], rung: int, eta: int, objective: Objective) -> list[TrialRecord]:
    """The best 1/eta of the trials that finished a rung."""
    finished = finished_best_first(trials, rung, objective)
    return finished[: len(finished) // eta]


def _goes_on_at_once(trial: TrialRecord, top_rung: int) -> bool:
    """Whether a trial goes on without a comparison: a baseline up to the top, any other up to its first score."""
    return not trial.rungs or (trial.is_baseline and len(trial.rungs) <= top_rung)


def _waiting_rungs(trials: Iterable[TrialRecord], top_rung: int, *, reverse: bool = False) -> list[int]:
    """The rungs below the top that some trial has reached and waits at."""
    return sorted({len(trial.rungs) - 1 for trial in trials} & {*range(top_rung)}, reverse=reverse)


def hopeless_trials(
    trials: Mapping[int, TrialRecord], *, wanted: int, top_rung: int, eta: int, objective: Objective = ACCURACY
) -> list[int]:
    """Return the paused trials that will not go on, whatever the trials to come are worth.

    With one objective, those before a trial stay before it; with several, those that dominate it do. The best known
    recipe goes on in any case; see `climb`.

    Args:
      trials, wanted, top_rung, eta, objective: as for `next_job`.
    """
    hopeless_ones = []
    for rung in _waiting_rungs((trial for trial in trials.values() if trial.failure is None), top_rung):
        finished = finished_best_first(trials.values(), rung, objective)
        room = max(wanted, len(finished)) // eta
        before = dominators(finished, rung, objective) if objective.several else range(len(finished))
        behind = [trial for trial, number in zip(finished, before, strict=True) if number >= room]
        hopeless_ones += [trial.number for trial in behind if len(trial.rungs) == rung + 1]
    best = _best_recipe(_climbing(trials.values()), objective)
    return [number for number in hopeless_ones if best is None or number != best.number]
