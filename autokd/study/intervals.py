"""How sure intervals are, and how often a difference is to be found: the same for noise, claim and report."""

from __future__ import annotations

LEVEL = 0.95
"""Of every interval."""
POWER = 0.80
"""Share of the studies in which a difference of the detectable size is found."""


def half_width(df: float) -> float:
    """Return how many standard errors a t interval reaches to each side of its middle.

    Args:
      df: degrees of freedom of the standard error, above 0.
    """
    from scipy import stats

    return float(stats.t.ppf((1 + LEVEL) / 2, df))


def detectable_errors(df: float) -> float:
    """Return the smallest true difference that a two-sided t-test finds with `POWER`, in standard errors.

    Args:
      df: degrees of freedom of the standard error, above 0.
    Source: t₀.₉₇₅ + t₀.₈₀.
    """
    from scipy import stats

    return float(stats.t.ppf((1 + LEVEL) / 2, df) + stats.t.ppf(POWER, df))
