"""Random draws of the space inside the limit, the best on validation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from autokd.search.limits import inside, pipeline_cost
from autokd.seeds import derive
from benchmarks.by_hand.bench import Bench
from benchmarks.by_hand.tuning import Candidate, Found, Tuner


def draw(bench: Bench, seed: int) -> Found:
    """Return what random draws recommend after the set's seconds."""
    tuner, drawn = Tuner(bench=bench, side="random", seed=seed), list[Candidate]()
    for candidate in draws(bench, seed):
        drawn.append(candidate)
        if not tuner.train(candidate):
            break
    return tuner.found((tuner.best_of(drawn) or drawn)[0], drawn=len(drawn))


def draws(bench: Bench, seed: int) -> Iterator[Candidate]:
    """Yield random pipelines of the space whose student lies inside the limit."""
    space, task, offers = bench.setup.space, bench.setup.data.task, bench.setup.offers
    rng = np.random.default_rng(derive(seed, "random draws"))
    for number in itertools.count():
        drawn = space.sample(rng, number)
        if inside(pipeline_cost(drawn.plain, task, offers), space.constraints):
            yield Candidate(drawn.plain)
