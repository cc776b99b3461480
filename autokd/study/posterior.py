"""What a candidate's score is likely to be, given its few runs and how much the candidates differ: normal-normal.

The best of many trials owes part of its score to its seed. A candidate's mean over seeds is therefore drawn towards
the mean of all trials that reached the top rung, the more the fewer seeds it has and the less the trials differ beyond
their noise.

Source: Efron and Morris, JASA 70 (1975), 311-319.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from autokd.study.design import Noise


class Prior(NamedTuple):
    """How good candidates are before their runs are seen.

    Args:
      mean: of their true scores.
      variance: of their true scores, 0 or more.
      noise: variance of one run's score around the candidate's true one, above 0.
    """

    mean: float
    variance: float
    noise: float

    @classmethod
    def of(cls, scores: Sequence[float], noise: float) -> Prior:
        """Estimate a prior by moments: the scores' variance is that of the candidates and the noise together.

        >>> Prior.of([0.7, 0.8, 0.9], 0.002)
        Prior(mean=0.8, variance=0.008, noise=0.002)

        Args:
          scores: of all trials that reached the top rung, one a trial, at least one.
          noise: variance of one run's score.
        """
        seen = float(np.var(scores, ddof=1)) if len(scores) > 1 else 0.0
        return cls(round(float(np.mean(scores)), 12), round(max(0.0, seen - noise), 12), noise)

    def mean_of(self, scores: Sequence[float]) -> float:
        """Return the posterior mean of a candidate's true score.

        >>> Prior(0.8, 0.008, 0.002).mean_of([0.9])
        0.88

        Args:
          scores: of its runs, at least one.
        """
        weight = self.variance / (self.variance + self.noise / len(scores))
        return round(self.mean + weight * (float(np.mean(scores)) - self.mean), 12)


def noise_sd(noise: Noise | None, validation: int) -> float:
    """Return the standard deviation of one run's score between seeds.

    Args:
      noise: measured; None: at most what drawing the validation items makes of a share, √(1/4 / items).
      validation: its number of items; a spread below one item is taken for one item.
    """
    return math.sqrt(0.25 / validation) if noise is None else max(noise.sd, 1 / validation)
