"""The rungs of a study: how long each is, and what a trial takes on average."""

from __future__ import annotations

from autokd.space import Budget


def rung_plan(budget: Budget) -> list[int]:
    """Return the epochs at the end of each rung: the top one divided by eta again and again, at least 1, distinct."""
    epochs = {max(1, round(budget.epochs / budget.eta**k)) for k in range(budget.rungs)}
    return sorted(epochs)


def trial_epochs(budget: Budget) -> float:
    """Return the epochs that a trial takes on average, branches included, when the best 1/eta of each rung go on.

    One trial at least goes on to the end; see `autokd.search.explore.halving`.
    """
    rungs, one = rung_plan(budget), 1 / max(1, budget.trials)
    branches = [budget.branch * end for end in rungs[:-1]] + [0.0]
    spans = zip([0, *rungs], rungs, branches, strict=False)
    return sum((b - a + branch) * max(float(budget.eta) ** -k, one) for k, (a, b, branch) in enumerate(spans))
