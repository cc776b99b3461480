"""Simulated claims on equal arms: how often they say that the recommended one is better, whatever chose it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from autokd.metrics import METRICS
from autokd.study import comparison
from autokd.study.arms import ALONE, HAND, HAND_KD, KD, PICK
from autokd.study.comparison import Measured, Pair, compare_measured
from autokd.study.design import Noise
from autokd.study.intervals import PAIR, Family
from autokd.study.use import Option, choose, find_comparator, find_comparators, found_margin, tolerance

CLAIMS = 2000
MOST = 0.06
"""Share of claims that may say "better": 5 % and two standard errors of `CLAIMS`."""
SEEDS, ITEMS = 0.01, 0.003
"""Standard deviations of scores: between seeds, and of an arm's mean between samples of the items."""
RESAMPLES = 60
"""Bootstrap samples of the items."""
ARMS = {ALONE: ALONE, HAND: HAND, HAND_KD: HAND, KD: KD, PICK: PICK}
"""Kinds of arms, by name."""
TEACHERLESS = (ALONE,)
PUBLISHED = (HAND, HAND_KD)
MARGINS = {"any metric": 0.0, "accuracy": found_margin(0.8, 700, METRICS["accuracy"])}
"""By how much what was found must be better than a published recipe, on so few items that it exceeds the tolerance."""
TRIED = {ALONE: 1, HAND: 4, HAND_KD: 1, PICK: 8}
"""Trials at the top rung of which the best is the arm."""


class Arm(NamedTuple):
    """How much better than the truth an arm looks on the validation items, and on those of test."""

    validation: float
    test: float


class Runs(NamedTuple):
    """Scores of one arm's runs, by split."""

    validation: NDArray[np.float64]
    test: NDArray[np.float64]


class World:
    """Arms that are all equally good; each looks a little better or worse on the items there are.

    A run's seed moves its scores on both splits together.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def arm(self) -> Arm:
        """One more arm."""
        return Arm(*self._random.normal(0, ITEMS, 2))

    def train(self, arm: Arm, seeds: int) -> Runs:
        """Train an arm under fresh seeds."""
        skill = self._random.normal(0.8, SEEDS, seeds)
        return Runs(skill + arm.validation, skill + arm.test)

    def noise(self) -> Noise:
        """What the noise stage finds: three runs of one arm."""
        scores = self.train(self.arm(), 3).validation
        return Noise(float(np.std(scores, ddof=1)), 2, float(np.mean(scores)))

    def says_better(self, found: dict[str, Runs], use: str, others: Sequence[str], family: Family) -> bool:
        """Whether any comparison of an arm says that it is better."""
        resampled = {name: self._random.normal(0, ITEMS, RESAMPLES) for name in found}
        measured = Measured({name: runs.test for name, runs in found.items()}, resampled)
        compared = [compare_measured(METRICS["macro_f1"], measured, Pair(use, other, family)) for other in others]
        return any(one.verdict == "better" for one in compared)


Claim = Callable[[World, int], dict[str, bool]]
"""Makes a claim on so many seeds; whether it says "better", for each of the margins that what was found has to beat."""


def option(name: str, scores: Sequence[float] | NDArray[np.float64]) -> Option:
    row = [float(score) for score in scores]
    return Option(name, ARMS[name], name, name not in TEACHERLESS, row, published=name in PUBLISHED)


def for_each_margin(options: Sequence[Option], within: float, says: Callable[[Option], bool]) -> dict[str, bool]:
    """What is said of the arm that each margin chooses; most often all choose the same."""
    used = {name: choose(options, within, margin) for name, margin in MARGINS.items()}
    said = {use.name: says(use) for use in {use.name: use for use in used.values()}.values()}
    return {name: said[use.name] for name, use in used.items()}


def by_top_rung(world: World, seeds: int) -> dict[str, bool]:
    """One run a trial chooses; the recommended arm and one other have fresh seeds."""
    tried = {name: [world.arm() for _ in range(count)] for name, count in TRIED.items()}
    scored = {name: [world.train(arm, 1).validation[0] for arm in row] for name, row in tried.items()}
    best = {name: tried[name][int(np.argmax(scores))] for name, scores in scored.items()}
    options = [option(name, [float(max(scores))]) for name, scores in scored.items() if name != HAND_KD]

    def says(use: Option) -> bool:
        others = find_comparator(options, use, HAND_KD)
        claimed = {name: world.train(best[name], seeds) for name in (use.name, *others)}
        return world.says_better(claimed, use.name, others, Family(len(claimed)))

    return for_each_margin(options, tolerance(world.noise()), says)


def on_same_seeds(world: World, seeds: int) -> dict[str, bool]:
    """The runs that choose are the claim's."""
    runs = {name: world.train(world.arm(), seeds) for name in ARMS}
    options = [option(name, row.validation) for name, row in runs.items()]

    def says(use: Option) -> bool:
        others = find_comparators(options, use, HAND_KD)
        return world.says_better(runs, use.name, others, Family(len(runs), all_pairs=True))

    return for_each_margin(options, tolerance(world.noise()), says)


def on_fresh_seeds(world: World, seeds: int) -> dict[str, bool]:
    """Two seeds choose, others are the claim's."""
    arms = {name: world.arm() for name in ARMS}
    options = [option(name, world.train(arm, 2).validation) for name, arm in arms.items() if name != HAND_KD]

    def says(use: Option) -> bool:
        others = find_comparators(options, use, HAND_KD)
        claimed = {name: world.train(arms[name], seeds) for name in (use.name, *others)}
        return world.says_better(claimed, use.name, others, Family(len(claimed)))

    return for_each_margin(options, tolerance(world.noise()), says)


@pytest.mark.parametrize("seeds", [2, 5])
@pytest.mark.parametrize("claim", [by_top_rung, on_same_seeds, on_fresh_seeds])
def test_equal_arms_are_rarely_called_better(claim: Claim, seeds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "MOST_SEEDS", 2)  # looking for the seeds needed takes most of the time
    better = Counter(name for number in range(CLAIMS) for name, said in claim(World(number), seeds).items() if said)
    assert {name: better[name] for name in MARGINS if better[name] > MOST * CLAIMS} == {}


def test_the_seeds_that_chose_would_flatter_the_best_without_simultaneous_intervals() -> None:
    """The simulation can tell: with an interval for each pair alone, the best of five arms is too often better."""
    flattered = 0
    for number in range(CLAIMS // 4):
        world = World(number)
        runs = {name: world.train(world.arm(), 5) for name in ARMS}
        best = max(runs, key=lambda name: float(runs[name].test.mean()))
        flattered += world.says_better(runs, best, [name for name in ARMS if name != best], PAIR)
    assert flattered > MOST * CLAIMS // 4
