"""Whether what some studies teach holds on another: each study is predicted by those of other sources of data.

A prediction is the mean of what the additive models of these say. How well it orders the pipelines of the study that
was left out is a rank correlation; how large that gets by chance, scores that were shuffled within each study say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from autokd.knowledge.additive import Design, Values, aligned, design, fit
from autokd.knowledge.base import Base
from autokd.knowledge.certainty import ENOUGH, mean_of
from autokd.knowledge.choices import Bands, Choice
from autokd.knowledge.pays import PIPELINES
from autokd.study.means import Mean

SHUFFLES = 999
SURE = 0.01
"""Probability by chance above which nothing was learnt."""


class Transfer(NamedTuple):
    """How well studies predict others.

    Args:
      studies: each of which was left out once.
      sources: of their data; studies of the same one never predict each other.
      correlation: mean over sources of Spearman's rank correlation, with a t interval; None below three sources.
      p: probability of so large a mean correlation where the scores of each study are shuffled.
      first: mean over studies of the share of pipelines that are not better than the one that is predicted to be best.
    """

    studies: int
    sources: int
    correlation: Mean | None
    p: float
    first: float

    @property
    def learned(self) -> bool:
        """Whether more was learnt than shuffled scores teach, of several sources."""
        return self.correlation is not None and self.p <= SURE and self.correlation.low > 0


def transfer(base: Base, seed: int = 0) -> Transfer:
    """Return how well the studies of a base predict one another.

    Args:
      base: studies with at least twelve pipelines each count.
      seed: of the shuffles.
    """
    sources, designs = _designs(base, Bands(base.cards))
    if len(set(sources)) < ENOUGH:
        return Transfer(len(designs), len(set(sources)), None, 1.0, float("nan"))
    rng = np.random.default_rng(seed)
    truths = [_shuffled(each.quantiles, rng) for each in designs]
    said = _predicted(designs, truths, sources)
    correlations = np.array([_correlation(one, truth) for one, truth in zip(said, truths, strict=True)])
    means = np.array([correlations[[own == source for own in sources]].mean(0) for source in sorted(set(sources))])
    real, chance = means[:, 0], means[:, 1:].mean(0)
    first = np.mean([_not_better(one[:, 0], truth[:, 0]) for one, truth in zip(said, truths, strict=True)])
    p = float((1 + (chance >= real.mean()).sum()) / (1 + SHUFFLES))
    return Transfer(len(designs), len(real), mean_of(list(real))[0], p, float(first))


def ranked(base: Base) -> list[tuple[str, float]]:
    """Return the keys of all pipelines of a base, best first, with the mean over studies of what their models say."""
    bands = Bands(base.cards)
    keys = {run.key: bands.of(run, card) for card in base.cards for run in card.runs}
    choices = sorted(frozenset[Choice]().union(*keys.values()))
    _, designs = _designs(base, bands)
    said = [aligned(fit(each.has, each.quantiles[:, None]), each.choices, choices)[:, 0] for each in designs]
    means = dict(zip(choices, np.mean(said, axis=0), strict=True)) if said else dict.fromkeys(choices, 0.0)
    worth = {key: float(sum(means[choice] for choice in has)) for key, has in keys.items()}
    return sorted(worth.items(), key=lambda item: (-item[1], item[0]))


def _designs(base: Base, bands: Bands) -> tuple[list[str], list[Design]]:
    """The source and the design of each study with enough pipelines."""
    found = [(card.facts.source, design(card, bands)) for card in base.cards]
    found = [(source, each) for source, each in found if len(each.has) >= PIPELINES]
    return [source for source, _ in found], [each for _, each in found]


def _shuffled(values: Values, rng: np.random.Generator) -> Values:
    """The values as they are, then shuffled, [n, 1 + SHUFFLES]."""
    others = rng.permuted(np.repeat(values[:, None], SHUFFLES, axis=1), axis=0)
    return np.concatenate([values[:, None], others], axis=1)


def _predicted(designs: Sequence[Design], truths: Sequence[Values], sources: Sequence[str]) -> list[Values]:
    """What the studies of other sources say of each study's pipelines, [n, T]."""
    fitted = [fit(each.has, truth) for each, truth in zip(designs, truths, strict=True)]
    found = []
    for each, source in zip(designs, sources, strict=True):
        others = [place for place, own in enumerate(sources) if own != source]
        total = sum(aligned(fitted[place], designs[place].choices, each.choices) for place in others)
        found.append(each.has @ (total / len(others)))
    return found


def _not_better(said: Values, truth: Values) -> float:
    """The share of pipelines that are not better than the one that is said to be best."""
    return float((truth <= truth[said.argmax()]).mean())


def _correlation(one: Values, other: Values) -> NDArray[np.float64]:
    """Spearman's correlation column by column, [T]; 0 where either is constant."""
    ranks = [rankdata(values.round(9), axis=0) for values in (one, other)]
    apart = [values - values.mean(0) for values in ranks]
    sizes = np.sqrt((apart[0] ** 2).sum(0) * (apart[1] ** 2).sum(0))
    found: NDArray[np.float64] = (apart[0] * apart[1]).sum(0) / np.where(sizes > 0, sizes, np.inf)
    return found
