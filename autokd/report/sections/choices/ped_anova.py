"""PED-ANOVA: how much each parameter decided whether a trial is among the best, for many choices of the best at once.

Watanabe et al., IJCAI 2023, arXiv 2304.10255, eq. 12; parameters that not every trial has: arXiv 2601.20800, theorem
4.2. Densities and figures are those of Optuna's `PedAnovaImportanceEvaluator`: on a grid, one kernel for each distinct
value, with Scott's bandwidth, and a flat one as the prior. It computes one choice of the best at a time; here what
depends on the parameters alone is computed once, and the rest for all choices together.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

CELLS = 50
"""Of the grid over a range of numbers, at most."""
FEWEST = 2
"""Trials that have a parameter with the same range; fewer do not count."""
LEAST_WIDTH = 0.5 / 1.64
"""Of a kernel, in cells: nine tenths of it lie in the cell of its own value."""
NEVER = 1e-12
"""Added to all densities, so that none is 0."""

Floats = NDArray[np.float64]


class Values(NamedTuple):
    """What the trials that have one parameter with one range have for it.

    Args:
      trials: [n], their positions.
      cells: [n], of the grid.
      size: of the grid, in cells.
      ordered: whether it is a range of numbers, so that neighbours are alike.
    """

    trials: NDArray[np.intp]
    cells: NDArray[np.intp]
    size: int
    ordered: bool

    def density(self, chosen: NDArray[np.bool_]) -> Floats:
        """Return the probability of each cell among the chosen, [choices, size], from [choices, n], one at least."""
        counts = chosen.astype(np.float64) @ np.eye(self.size)[self.cells]
        return NEVER + (_smoothed(counts) if self.ordered else _mixed(counts))


def ped_anova(trials: Sequence[FrozenTrial], best: NDArray[np.bool_]) -> dict[str, Floats]:
    """Return the importance of each parameter for each choice of the best: [choices], at least 0, by name.

    Args:
      trials: N, each with its parameters and their distributions.
      best: [choices, N].
    """
    names = sorted({name for trial in trials for name in trial.distributions})
    return {name: sum((_importance(v, best) for v in _values(name, trials)), np.zeros(len(best))) for name in names}


def _importance(values: Values, best: NDArray[np.bool_]) -> Floats:
    """The Pearson divergence of the best from all, weighted by how many of either there are; 0 where none is best."""
    chosen = best[:, values.trials]
    found = np.flatnonzero(chosen.any(1))
    everywhere = values.density(np.ones((1, len(values.trials)), dtype=bool))
    divergence = (everywhere * (values.density(chosen[found]) / everywhere - 1) ** 2).sum(1)
    importance = np.zeros(len(best))
    importance[found] = chosen[found].sum(1) ** 2 / (len(values.trials) * best.shape[1]) * divergence
    return importance


def _values(name: str, trials: Sequence[FrozenTrial]) -> Iterator[Values]:
    """What the trials have for a parameter, apart for each range that leaves a choice."""
    having: dict[BaseDistribution, list[int]] = defaultdict(list)
    for position, trial in enumerate(trials):
        if name in trial.distributions:
            having[trial.distributions[name]].append(position)
    for distribution, positions in having.items():
        if len(positions) >= FEWEST and not distribution.single():
            cells, size, ordered = _grid(distribution, [trials[position].params[name] for position in positions])
            yield Values(np.array(positions), cells, size, ordered)


def _grid(distribution: Any, values: Sequence[Any]) -> tuple[NDArray[np.intp], int, bool]:
    """The cells of values, how many there are, and whether they are in order."""
    if choices := getattr(distribution, "choices", ()):
        return np.array([choices.index(value) for value in values]), len(choices), False
    low, high, numbers = distribution.low, distribution.high, np.array(values, dtype=np.float64)
    size = CELLS
    if isinstance(low, int) and distribution.log:
        size = min(CELLS, math.ceil(math.log2(high - low + 1)) + 1)
    elif distribution.step is not None:
        size = min(CELLS, round((high - low) / distribution.step) + 1)
    if distribution.log:
        low, high, numbers = math.log(low), math.log(high), np.log(numbers)
    cells = np.ceil((numbers - low) / ((high - low) / (size - 1)) - 0.5).astype(np.intp)  # a tie is of the lower cell
    return np.clip(cells, 0, size - 1), size, True


def _mixed(counts: Floats) -> Floats:
    """The density of a choice without an order, [choices, size], from how often each cell was chosen."""
    count, size = counts.sum(1, keepdims=True), counts.shape[1]
    prior = 1 / ((counts > 0).sum(1, keepdims=True) + 1)
    kernels = (count * prior + counts) / (1 + size * prior)
    density: Floats = (kernels + 1 / size) / (count + 1)
    return density


def _smoothed(counts: Floats) -> Floats:
    """The density of a number on a grid, [choices, size], from how often each cell was chosen."""
    count, size = counts.sum(1, keepdims=True), counts.shape[1]
    cells = np.arange(size)
    widths = np.maximum(_scott(counts), LEAST_WIDTH)
    kernels = np.stack([_kernels(cells, width, size) for width in widths])
    flat = _kernels(np.array([(size - 1) / 2]), size, size)
    density: Floats = (np.einsum("kc,kcd->kd", counts, kernels) + flat) / (count + 1)
    return density


def _scott(counts: Floats) -> Floats:
    """Scott's bandwidth in cells, [choices], of one-dimensional data (Scott 1992)."""
    count, cells, below = counts.sum(1), np.arange(counts.shape[1]), counts.cumsum(1)
    mean = counts @ cells / count
    deviation = np.sqrt((counts * (cells - mean[:, None]) ** 2).sum(1) / np.maximum(1, count - 1))
    first, third = np.maximum(count // 4, 1), count * 3 // 4 + 1  # the values of these ranks are the quartiles
    quartiles = ((below >= rank[:, None]).argmax(1) for rank in (third, first))
    bandwidth: Floats = 1.059 * np.minimum(np.subtract(*quartiles) / 1.34, deviation) * count**-0.2
    return bandwidth


def _kernels(centres: NDArray[Any], width: float, size: int) -> Floats:
    """Normal distributions about the centres, cut off at the grid's ends: the mass of each cell, [centres, size]."""
    edges = ndtr((np.arange(size + 1) - 0.5 - centres[:, None]) / width)
    masses: Floats = np.diff(edges) / (edges[:, -1:] - edges[:, :1])
    return masses
