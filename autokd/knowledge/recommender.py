"""Ranks pipelines for new data by what past studies taught.

Of every past study on the same kind of input a model learns how good each kind of pipeline was *within* that
study, as a quantile: scores of different data cannot be compared, and regressing on them is worse than drawing at
random. What the studies say is averaged, with weights that are nearly equal where there are few of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from autokd.knowledge.base import Base
from autokd.knowledge.card import StudyCard, StudyFacts
from autokd.knowledge.features import Subject, table_of
from autokd.knowledge.order import first_choice, worth_trying

TREES, LEAF = 40, 2
"""Trees of a study's model, and the fewest runs at the end of a branch."""
SEED = 0
TRUST = 10
"""Sources of data at which likeness counts as much as equality in their weights."""
LEVEL = 0.95
ENOUGH = 3
"""Studies below which no interval is given."""

Values = NDArray[np.float64]


class Expected(NamedTuple):
    """What a pipeline is expected to be worth on new data.

    Args:
      quantile: mean over past studies of its rank there, in standard deviations of a normal distribution.
      gain: expected score less that of KD by hand, in the unit of the score; None where no study with the
        same objective knows.
      interval: 95 % of new studies are expected in it; None where fewer than three past studies know.
    """

    quantile: float
    gain: float | None
    interval: tuple[float, float] | None


class Said(NamedTuple):
    """What each past study says of some pipelines, [S, n].

    Args:
      quantiles: rank within the study, in standard deviations of a normal distribution.
      gains: score less that of KD by hand, in the unit of the score; NaN where a study does not know.
    """

    quantiles: Values
    gains: Values


@dataclass(frozen=True)
class Recommender:
    """What past studies say of pipelines for one new study.

    Args:
      base: past studies; those on another kind of input are passed over, and those with another objective where some
        have the same: what ranks high by one metric seldom ranks low by another.
      facts: what the new study is about.
    """

    base: Base
    facts: StudyFacts

    @cached_property
    def cards(self) -> list[StudyCard]:
        """The studies that count."""
        of_kind = [card for card in self.base.cards if card.facts.modality == self.facts.modality]
        same = [card for card in of_kind if card.facts.objective == self.facts.objective]
        return same or of_kind

    @cached_property
    def weights(self) -> Values:
        """How much each study counts, [S], summing to 1: nearly alike while there are few; data of a source count once."""
        if not self.cards:
            return np.zeros(0)
        sources = [card.facts.source for card in self.cards]
        equal = np.array([1 / sources.count(source) for source in sources]) / len(set(sources))
        alike = equal * np.exp([-_distance(self.facts, card.facts) for card in self.cards])
        share = len(set(sources)) / (len(set(sources)) + TRUST)
        found: Values = (1 - share) * equal + share * alike / alike.sum()
        return found

    def said(self, subjects: Sequence[Subject]) -> Said:
        """Return what each study says of some pipelines."""
        asked = [model.of(subjects) for model in self._models]
        shape = (len(asked), len(subjects))
        quantiles, gains = np.zeros(shape), np.zeros(shape)
        for place, (own_quantiles, own_gains) in enumerate(asked):
            quantiles[place], gains[place] = own_quantiles, own_gains
        return Said(quantiles, gains)

    def expected(self, said: Said, by_hand: int) -> list[Expected]:
        """Return what each pipeline is expected to be worth.

        A gain is the difference of what a study's model says of the pipeline and of KD by hand: the models of a few
        dozen runs shrink both towards the study's mean.

        Args:
          said: what each study says.
          by_hand: place of KD by hand.
        """
        gains = said.gains - said.gains[:, [by_hand]]
        means = self.weights @ said.quantiles
        found = [Expected(float(mean), *self._gain(gains[:, place])) for place, mean in enumerate(means)]
        same = all(card.facts.objective == self.facts.objective for card in self.cards)
        return found if same else [each._replace(gain=None, interval=None) for each in found]

    def order(self, said: Said, by_hand: int) -> list[int]:
        """Return places of pipelines in the order in which they are worth trying, the safest choice first.

        Args:
          said: what each study says.
          by_hand: place of KD by hand.
        """
        first = first_choice(said.quantiles, self.weights, by_hand)
        return [first, *worth_trying(said.quantiles, self.weights, [first])]

    @cached_property
    def _models(self) -> list[Model]:
        return [fitted(card) for card in self.cards]

    def _gain(self, said: Values) -> tuple[float | None, tuple[float, float] | None]:
        known = np.isfinite(said)
        if not known.any():
            return None, None
        weights, values = self.weights[known] / self.weights[known].sum(), said[known]
        mean, count = float(weights @ values), 1 / float(weights @ weights)
        if known.sum() < ENOUGH:
            return mean, None
        variance = float(weights @ (values - mean) ** 2) * count / (count - 1)
        half = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * math.sqrt(variance * (1 + 1 / count))
        return mean, (mean - half, mean + half)


class Model(NamedTuple):
    """What a study taught, as a function of a pipeline's numbers.

    Args:
      names: of the numbers.
      predict: rows of numbers [n, F] -> quantile and gain [n, 2].
    """

    names: list[str]
    predict: Callable[[Values], Values]

    def of(self, subjects: Sequence[Subject]) -> tuple[Values, Values]:
        """Return quantile and gain of each pipeline, [n] each."""
        rows, _ = table_of(subjects, self.names)
        said = self.predict(rows)
        return said[:, 0], said[:, 1]


def fitted(card: StudyCard, shuffled: np.random.Generator | None = None) -> Model:
    """Return what a study taught.

    Args:
      card: the study's.
      shuffled: for controls: gives each pipeline the results of another one.
    """
    from sklearn.ensemble import ExtraTreesRegressor  # slow to import

    runs = list({run.key: run for run in card.runs if run.key in card.worth}.values())
    rows, names = table_of([subject_of(run.pipeline, run.params, card.facts) for run in runs])
    gains = card.gains
    targets = np.array([[card.quantiles[run.key], gains.get(run.key, math.nan)] for run in runs])
    if shuffled is not None:
        targets = shuffled.permutation(targets)
    knows = bool(gains)
    model: Any = ExtraTreesRegressor(TREES, min_samples_leaf=LEAF, random_state=SEED)
    model.fit(rows, targets if knows else np.stack([targets[:, 0]] * 2, axis=1))

    def predict(asked: Values) -> Values:
        found: Values = model.predict(asked)
        if not knows:
            found[:, 1] = math.nan
        return found

    return Model(names, predict)


def subject_of(pipeline: Mapping[str, Any], params: int, facts: StudyFacts) -> Subject:
    """Return a pipeline of a study with what its numbers depend on.

    Args:
      pipeline: plain, of shared form.
      params: of its student.
      facts: what the study is about.
    """
    most = facts.limits.get("params", params) or 1.0
    steps = facts.epochs * facts.train / max(int(pipeline["batch_size"]), 1)
    return Subject(pipeline, max(params, 1) / most, steps)


def _distance(one: StudyFacts, other: StudyFacts) -> float:
    """How unlike two studies are: samples, classes and the size of a sample, each 1 for a factor of four."""
    ratios = (
        math.log(max(one.train, 1) / max(other.train, 1)) / math.log(4),
        math.log(max(one.classes, 1) / max(other.classes, 1)) / math.log(4),
        math.log(math.prod(one.input_shape) / math.prod(other.input_shape)) / math.log(4),
    )
    return math.sqrt(sum(ratio**2 for ratio in ratios))
