"""Ranks pipelines for new data by what past studies taught.

Of every past study on the same kind of input a model learns how good each kind of pipeline was *within* that
study, as a quantile: scores of different data cannot be compared, and regressing on them is worse than drawing at
random. What the studies say is averaged, with weights that are nearly equal where there are few of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from autokd.knowledge.additive import fit
from autokd.knowledge.base import Base
from autokd.knowledge.card import CardRun, StudyCard, StudyFacts
from autokd.knowledge.features import Subject, features, table_of
from autokd.knowledge.order import far_behind, first_choice, worth_trying

LEAST_SCALE = 0.25
"""Spread of a number below which a step of it counts no more: what a study hardly varied, it hardly knows."""
TRUST = 10
"""Sources of data at which likeness counts as much as equality in their weights."""
BELIEVED = 0.75
"""Share that what a study saw of a pipeline has in what it says of it; the rest is what its model says."""
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
      scores: that pipelines of this rank had in the study.
      tried: whether the study really tried the pipeline, on whatever student.
    """

    quantiles: Values
    scores: Values
    tried: NDArray[np.bool_]

    @property
    def known(self) -> Values:
        """Quantiles where a study really tried a pipeline; elsewhere less than the least that it says, [S, n]."""
        low = self.quantiles.min(axis=1, keepdims=True, initial=0.0) - 1
        return np.where(self.tried, self.quantiles, low)


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
        """How much each study counts, [S], summing to 1: nearly alike while few; data of one source count once."""
        if not self.cards:
            return np.zeros(0)
        sources = [card.facts.source for card in self.cards]
        equal = np.array([1 / sources.count(source) for source in sources]) / len(set(sources))
        alike = equal * np.exp([-_distance(self.facts, card.facts) for card in self.cards])
        share = len(set(sources)) / (len(set(sources)) + TRUST)
        found: Values = (1 - share) * equal + share * alike / alike.sum()
        return found

    def said(self, subjects: Sequence[Subject], rules: Sequence[str]) -> Said:
        """Return what each study says of some pipelines.

        Args:
          subjects: the pipelines.
          rules: name of each as a rule; see `autokd.knowledge.taught.rule_from`.
        """
        rows = [features(subject) for subject in subjects]
        asked = [model.of(rows, rules) for model in self.models]
        shape = (len(asked), len(subjects))
        quantiles, scores = np.zeros(shape), np.zeros(shape)
        for place, (own_quantiles, own_scores) in enumerate(asked):
            quantiles[place], scores[place] = own_quantiles, own_scores
        tried = np.array([[rule in model.seen for rule in rules] for model in self.models], dtype=bool).reshape(shape)
        return Said(quantiles, scores, tried)

    def expected(self, said: Said, by_hand: int) -> list[Expected]:
        """Return what each pipeline is expected to be worth.

        A gain is the difference between the scores that pipelines of its rank, and of the rank of KD by hand, had in a
        study: points themselves are not modelled, since a few pipelines that fail by 40 points would decide everything.

        Args:
          said: what each study says.
          by_hand: place of KD by hand.
        """
        gains = said.scores - said.scores[:, [by_hand]]
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
        first = first_choice(said.quantiles, self.weights, by_hand, said.tried)
        behind = far_behind(said.quantiles, self.weights, by_hand, said.tried)
        return [first, *sorted(worth_trying(said.known, self.weights, [first]), key=behind.__getitem__)]

    @cached_property
    def models(self) -> list[Model]:
        """What each study taught."""
        return [fitted(card) for card in self.cards]

    def _gain(self, gains: Values) -> tuple[float | None, tuple[float, float] | None]:
        """Mean over studies, and the interval of a new one, given the gain in each of them."""
        if not len(gains):
            return None, None
        mean, count = float(self.weights @ gains), 1 / float(self.weights @ self.weights)
        if count < ENOUGH:
            return mean, None
        variance = float(self.weights @ (gains - mean) ** 2) * count / (count - 1)
        half = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * math.sqrt(variance * (1 + 1 / count))
        return mean, (mean - half, mean + half)


class Seen(NamedTuple):
    """What a rule reached in a study, on whatever student: mean quantile, and mean gain over KD by hand if known."""

    quantile: float
    gain: float | None


class Model(NamedTuple):
    """What a study taught: the rank of a pipeline as a sum of what its parts are worth.

    Args:
      names: of a pipeline's numbers, [F].
      middle, scale: of each number, [F].
      worth: of each number, [F], by `autokd.knowledge.additive.fit`.
      mean: quantile of a pipeline in the middle.
      quantiles, scores: of the study's pipelines, in rising order.
      doubt: standard deviation of what the model leaves open.
      seen: what rules reached that the study really tried, by their names.
    """

    names: list[str]
    middle: Values
    scale: Values
    worth: Values
    mean: float
    quantiles: Values
    scores: Values
    doubt: float
    seen: Mapping[str, Seen]

    def of(self, rows: Sequence[Mapping[str, float]], rules: Sequence[str]) -> tuple[Values, Values]:
        """Return the quantile of each pipeline, and the score that such a one had in the study, [n] each.

        Args:
          rows: numbers of the pipelines, by `features`.
          rules: name of each as a rule, "" for none: what the study saw of it counts `BELIEVED`, the model the rest.
            What it did not try counts less by the model's typical error, else the best guess is the luckiest one.
        """
        table, _ = table_of(rows, self.names)
        quantiles: Values = (table - self.middle) / self.scale @ self.worth + self.mean
        for place, rule in enumerate(rules):
            if rule in self.seen:
                quantiles[place] += BELIEVED * (self.seen[rule].quantile - quantiles[place])
            else:
                quantiles[place] -= self.doubt
        return quantiles, np.interp(quantiles, self.quantiles, self.scores)


def fitted(card: StudyCard, shuffled: np.random.Generator | None = None) -> Model:
    """Return what a study taught.

    Args:
      card: the study's.
      shuffled: for controls: gives each pipeline the results of another one.
    """
    runs = list({run.key: run for run in card.runs if run.key in card.worth}.values())
    rows, names = table_of([features(subject_of(run.pipeline, run.params, card.facts)) for run in runs])
    quantiles = np.array([card.quantiles[run.key] for run in runs])
    scores = np.array([card.worth[run.key] for run in runs])
    wanted = quantiles if shuffled is None else shuffled.permutation(quantiles)
    seen = _seen(card, runs, wanted)
    middle, scale = rows.mean(0), np.maximum(rows.std(0), LEAST_SCALE)
    table, mean = (rows - middle) / scale, float(wanted.mean())
    worth = fit(table, wanted[:, None])[:, 0]
    doubt = float((wanted - mean - table @ worth).std())
    return Model(names, middle, scale, worth, mean, np.sort(quantiles), np.sort(scores), doubt, seen)


def _seen(card: StudyCard, runs: Sequence[CardRun], quantiles: Values) -> dict[str, Seen]:
    found: dict[str, list[tuple[float, float]]] = {}
    rules, gains = card.rules, card.gains
    for run, quantile in zip(runs, quantiles, strict=True):
        if run.key in rules:
            found.setdefault(rules[run.key].name, []).append((float(quantile), gains.get(run.key, math.nan)))
    means = {name: np.mean(values, axis=0) for name, values in found.items()}
    return {name: Seen(float(q), float(gain) if math.isfinite(gain) else None) for name, (q, gain) in means.items()}


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
