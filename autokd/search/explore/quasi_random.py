"""Quasi-random pipelines: points of a scrambled Sobol sequence over all parameters of a space.

A few of them cover each parameter's range more evenly than as many random draws, which is what the sampler is to start
from. Source: Owen, Scrambling Sobol' and Niederreiter-Xing points, Journal of Complexity 14 (1998).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import qmc

from autokd.seeds import derive
from autokd.space import Drawn, Space

LENGTH = 2**30
"""Points of a Sobol sequence."""


def quasi_random(space: Space, seed: int) -> Iterator[Drawn]:
    """Yield the pipelines of the sequence: a function of space and seed.

    Each parameter has a coordinate of its own, whether or not it occurs in a pipeline, and so has the number of
    optional components of each group.

    Args:
      space: the resolved space.
      seed: the study's seed; scrambles the sequence.
    """
    axes = {name: index for index, name in enumerate(space.axes())}
    sequence = qmc.Sobol(max(1, len(axes)), seed=np.random.default_rng(derive(seed, "quasi-random")))

    def placed(index: int) -> Drawn:
        point = sequence.random(1)[0]
        return space.place(lambda name: float(point[axes[name]]), index)

    return map(placed, range(LENGTH))
