"""How much of the scores of several candidates, trained under the same seeds, neither candidate nor seed explains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from autokd.study.design import Noise


def rest_variance(rows: Iterable[Sequence[float]], noise: Noise | None) -> tuple[float, int]:
    """Return the variance of score − candidate − seed, pooled with the noise, and its degrees of freedom.

    Args:
      rows: scores of each candidate on the first seeds; some have fewer.
      noise: estimated beforehand, or None.
    """
    cells = [(k, i, score) for k, row in enumerate(rows) for i, score in enumerate(row)]
    squares, df = _additive_fit(cells) if cells else (0.0, 0)
    if noise is not None:
        squares, df = squares + noise.df * noise.sd**2, df + noise.df
    return (squares / df, df) if df else (0.0, 0)


def _additive_fit(cells: Sequence[tuple[int, int, float]]) -> tuple[float, int]:
    """Sum of squares that candidate and seed leave of the scores, and its degrees of freedom."""
    candidate, seed, score = (np.array(column) for column in zip(*cells, strict=True))
    columns = np.hstack([np.eye(candidate.max() + 1)[candidate], np.eye(seed.max() + 1)[seed]])
    fit, _, rank, _ = np.linalg.lstsq(columns, score, rcond=None)
    return float(((score - columns @ fit) ** 2).sum()), len(cells) - int(rank)
