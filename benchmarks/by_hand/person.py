"""A person who knows the field: the known recipes, with and without crop and flip, tuned on validation.

The recipes that are marked as known by hand come first, plain KD before all, on the largest student of the default
family; then the other ones. What time is left goes to more seeds: the better half of the pipelines is trained once
more, then the better half of those, and the best mean wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autokd.recipes.apply import portfolio
from autokd.spec import from_plain, to_plain
from benchmarks.by_hand.bench import Bench
from benchmarks.by_hand.tuning import Candidate, Found, Tuner

AUGMENTS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "image": ({"use": "none"}, {"use": "crop_flip", "padding": 0.125, "flip": True}),
    "table": ({"use": "none"},),
}
"""By kind of input."""


def tune(bench: Bench, seed: int) -> Found:
    """Return what the person recommends after the set's seconds."""
    tuner = Tuner(bench=bench, side="person", seed=seed)
    left = candidates(bench)
    tried = sum(tuner.train(candidate) for candidate in left)
    best, repeat = tuner.best_of(left), 0
    while len(best) > 1:
        half = best[: max(2, len(best) // 2)]
        if not all(tuner.train(candidate, repeat + 1) for candidate in half):
            break  # the seconds are over: what was not trained on all seeds is not compared
        best, repeat = tuner.best_of(half), repeat + 1
    return tuner.found((best or left)[0], tried=tried, recipes=len(left), repeats=repeat)


def candidates(bench: Bench) -> list[Candidate]:
    """Return every recipe with every augmentation that the person tries, those that are known best by hand first."""
    setup = bench.setup
    recipes = portfolio(setup.space, setup.data.task, setup.offers).recipes
    made = [
        Candidate(to_plain(from_plain({**recipe.drawn.plain, "augment": dict(augment)})), recipe.rule.name)
        for recipe in sorted(recipes, key=lambda recipe: not recipe.rule.hand)
        for augment in AUGMENTS[bench.wanted.kind]
    ]
    unique: dict[str, Candidate] = {}
    for each in made:  # rules that differ in augmentation are one, at the place of the first
        unique.setdefault(each.key, each)
    return list(unique.values())
