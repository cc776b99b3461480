"""How sure intervals are, and how often a difference is to be found: the same for noise, claim and report."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
"""Of every interval; of a family of intervals, the probability that all of them hold."""
POWER = 0.80
"""Share of the studies in which a difference of the detectable size is found."""
SPREAD_NODES, ARM_NODES = 96, 64
"""Points of the integrals over the estimated standard deviation and over one arm's mean: good to four digits."""


class Family(NamedTuple):
    """Comparisons of arms whose intervals are to hold all at once.

    Args:
      arms: whose means are compared, at least 2.
      all_pairs: whether any two are compared; else one arm with each of the others.
    """

    arms: int
    all_pairs: bool = False

    def half_width(self, df: float) -> float:
        """Return how many standard errors of a difference each interval reaches to each side of its middle.

        Args:
          df: degrees of freedom of the standard error, above 0.
        Source: one against the others: Dunnett, JASA 50 (1955), 1096-1121, with arms of equal size (correlation 1/2);
          all pairs: Tukey's studentized range, which counts in standard errors of a mean, hence over √2.
        """
        return half_width(df) if self.arms <= 2 else _simultaneous(round(df, 1), self)

    def detectable_errors(self, df: float) -> float:
        """Return the smallest true difference that these intervals find with `POWER`, in standard errors."""
        from scipy import special

        return self.half_width(df) + float(special.stdtrit(df, POWER))


PAIR = Family(2)
"""A single comparison."""


def half_width(df: float) -> float:
    """Return how many standard errors a t interval reaches to each side of its middle.

    Args:
      df: degrees of freedom of the standard error, above 0.
    """
    from scipy import special

    return float(special.stdtrit(df, (1 + LEVEL) / 2))


def detectable_errors(df: float) -> float:
    """Return the smallest true difference that a two-sided t-test finds with `POWER`, in standard errors.

    Args:
      df: degrees of freedom of the standard error, above 0.
    Source: t₀.₉₇₅ + t₀.₈₀.
    """
    return PAIR.detectable_errors(df)


@functools.lru_cache(maxsize=1024)
def _simultaneous(df: float, family: Family) -> float:
    """The width at which all intervals hold with `LEVEL`: between that of one and that of Bonferroni."""
    from scipy import optimize, special

    (steps, shares), (arm, weights) = _nodes()
    spreads = np.sqrt(2 * special.gammaincinv(df / 2, steps) / df)[:, None]  # estimated over true deviation

    def all_hold(width: float) -> float:
        """Probability that no difference of equal arms exceeds so many of its standard errors."""
        reach = np.sqrt(2) * width * spreads  # between two means, in standard deviations of one
        if family.all_pairs:  # the largest mean is at `arm`, all others within reach below it
            each = family.arms * (special.ndtr(arm) - special.ndtr(arm - reach)) ** (family.arms - 1)
        else:
            each = (special.ndtr(arm + reach) - special.ndtr(arm - reach)) ** (family.arms - 1)
        return float(shares @ (each @ weights))

    comparisons = family.arms * (family.arms - 1) // 2 if family.all_pairs else family.arms - 1
    most = float(special.stdtrit(df, 1 - (1 - LEVEL) / 2 / comparisons))
    return float(optimize.brentq(lambda width: all_hold(width) - LEVEL, half_width(df), most, xtol=1e-5))


Rule = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Points of an integral, and the weight of each."""


@functools.cache
def _nodes() -> tuple[Rule, Rule]:
    """Points of the two integrals: even steps of probability, and of the standard normal distribution."""
    steps, shares = np.polynomial.legendre.leggauss(SPREAD_NODES)
    arm, weights = np.polynomial.hermite_e.hermegauss(ARM_NODES)
    return ((steps + 1) / 2, shares / 2), (arm, weights / np.sqrt(2 * np.pi))


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values after Holm's procedure (Scandinavian Journal of Statistics 6, 1979), in the same order.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    found, largest = [1.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        found[index] = largest
    return found
