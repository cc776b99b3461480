"""What a study does with its time, counted in hand runs: full-length runs of vanilla KD as a person would set it up.

A person with so little time that it bears five runs tries five recipes, so that is what a search does; only with many
runs do a sampler, seeds and a grid pay. The bounds below are where each next thing fits without taking away from what
is worth more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autokd.space import Budget

ARMS = 4
"""Of choose, and of claim at most."""
FRESH_SHARE = 1 / 3
"""Of the time that choosing and claiming on fresh seeds may take."""
MOST_CLAIM_SEEDS = 5
MORE_CHOOSE_SEEDS = 108
"""Hand runs from which on arms are chosen by the mean of three seeds in place of two."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """How thorough a study is.

    Args:
      least: hand runs from which on it applies.
      does: in words.
      samples: whether pipelines are drawn by a sampler, or only known recipes are tried.
      fewest: recipes that it must bear; with fewer the level below applies.
      changes: fields of the budget.
    """

    least: float
    does: str
    samples: bool
    fewest: int
    changes: Mapping[str, Any]


_NONE = {
    "noise_seeds": 0,
    "finalists": 1,
    "select_seeds": 0,
    "grid": False,
    "choose_seeds": 0,
    "claim_seeds": 0,
    "fresh_claim": True,
    "ablation_seeds": 0,
}
_CHOOSES = {**_NONE, "noise_seeds": 1, "finalists": 2, "select_seeds": 1, "choose_seeds": 2, "claim_seeds": 2}
LEVELS = (
    Level(
        least=100,
        does="known recipes, then a search; tuned, fresh seeds for the claim, and what each part is worth",
        samples=True,
        fewest=8,
        changes={**_CHOOSES, "noise_seeds": 2, "finalists": 3, "grid": True, "ablation_seeds": 2},
    ),
    Level(
        least=60,
        does="known recipes, then a search; tuned, fresh seeds for the claim",
        samples=True,
        fewest=8,
        changes={**_CHOOSES, "noise_seeds": 2, "finalists": 3, "grid": True},
    ),
    Level(
        least=48,
        does="known recipes, then a search; fresh seeds for the claim",
        samples=True,
        fewest=8,
        changes={**_CHOOSES, "noise_seeds": 2, "finalists": 3},
    ),
    Level(
        least=36,
        does="known recipes, then a search; chosen and claimed on the same seeds",
        samples=True,
        fewest=8,
        changes={**_CHOOSES, "fresh_claim": False},
    ),
    Level(
        least=18,
        does="known recipes, then a search; the best after three seeds and one other on two fresh seeds",
        samples=True,
        fewest=8,
        changes={**_NONE, "finalists": 3, "select_seeds": 2, "claim_seeds": 2},
    ),
    Level(
        least=12,
        does="known recipes only, halved; the recommended pipeline and one other on two fresh seeds",
        samples=False,
        fewest=4,
        changes={**_NONE, "claim_seeds": 2},
    ),
    Level(least=0, does="known recipes only, halved", samples=False, fewest=2, changes=_NONE),
)
"""The most thorough first."""


def applicable(hand_runs: float) -> tuple[Level, ...]:
    """Return the levels for so many hand runs, the most thorough first; the others are what is made do with."""
    return tuple(level for level in LEVELS if level.least <= hand_runs)


def shaped(own: Budget, level: Level, hand_runs: float) -> Budget:
    """Return a budget with a level's seeds and stages.

    Args:
      own: the space file's budget.
      level: how thorough it is to be.
      hand_runs: that the time bears; with many, choose and claim get more seeds than their least.
    """
    changes = dict(level.changes)
    if changes["choose_seeds"] and changes["fresh_claim"]:
        changes["choose_seeds"] += int(hand_runs >= MORE_CHOOSE_SEEDS)
        runs = FRESH_SHARE * hand_runs - ARMS * changes["choose_seeds"]
        changes["claim_seeds"] = min(MOST_CLAIM_SEEDS, max(changes["claim_seeds"], int(runs / ARMS)))
    return dataclasses.replace(own, **changes)


def quick_changes(own: Budget) -> dict[str, Any]:
    """Return what a quick study without a time limit changes of the space file's budget: a quarter of its trials."""
    seeds = {"choose_seeds": 2, "claim_seeds": 2, "fresh_claim": False, "grid": False, "ablation_seeds": 0}
    return {**seeds, "finalists": min(own.finalists, 2), "trials": max(own.trials // 4, 2), "recipes": own.recipes // 2}
