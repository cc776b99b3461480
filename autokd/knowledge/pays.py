"""Which choices pay on which data, over the studies of a base: means over sources of data, with intervals.

A study says by how much a choice raises the rank of a pipeline there, and its score (`additive`). Studies of one source
are averaged first, so that a source counts once. Over sources a t interval is taken, and Holm's procedure over all
questions that are asked of the same data. Where the interval has 0 in it, nothing can be said.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from autokd.knowledge.additive import Values, design, fit
from autokd.knowledge.base import Base
from autokd.knowledge.card import ALONE, StudyCard
from autokd.knowledge.certainty import ENOUGH, difference_of, mean_of
from autokd.knowledge.choices import TAUGHT, Bands, Choice, is_many
from autokd.spec import slots
from autokd.study.intervals import LEVEL, holm
from autokd.study.means import Mean

PIPELINES = 12
"""That must have been trained to the end for a study to be asked."""
WITHOUT, OTHERS = "without it", "the others"
"""What a choice is compared with."""

Number = Callable[[StudyCard], float | None]


@dataclass(frozen=True)
class Effect:
    """What a choice was worth.

    Args:
      choice: that was made.
      against: what it is compared with: "without it", "the others", or the only other option.
      rank: rise of a pipeline's rank within its study, in standard deviations of a normal distribution.
      score: rise of the score, of studies whose scores are shares; None where there are too few.
      p: probability of so large a mean by chance, after Holm.
      studies: in which the choice was made and not made by at least three pipelines each.
      sources: of the data of these.
    """

    choice: Choice
    against: str
    rank: Mean
    score: Mean | None
    p: float
    studies: int
    sources: int

    @property
    def verdict(self) -> str:
        """ "pays" or "costs", "may pay" or "may cost" where so many questions may give it by chance, or "open"."""
        if not self.rank.tells():
            return "open"
        sure = self.p <= 1 - LEVEL
        return ("pays" if sure else "may pay") if self.rank.value > 0 else ("costs" if sure else "may cost")


class Scope(NamedTuple):
    """What is said of some of the data.

    Args:
      about: by what the data are chosen, such as "training samples"; "" for all of them.
      title: which data.
      studies: on these data.
      sources: of these data.
      effects: of every choice that can be asked about.
    """

    about: str
    title: str
    studies: int
    sources: int
    effects: tuple[Effect, ...]


class Dependence(NamedTuple):
    """How a choice's worth differs between two kinds of data.

    Args:
      about: in what they differ, such as "training samples".
      choice: that was made.
      against: what it is compared with.
      low, high: which data.
      difference: of the rise in rank on the second less that on the first.
      p: probability of so large a difference by chance, after Holm.
      sources: on each of both.
    """

    about: str
    choice: Choice
    against: str
    low: str
    high: str
    difference: Mean
    p: float
    sources: tuple[int, int]


class Findings(NamedTuple):
    """What a base says.

    Args:
      studies: that were asked.
      sources: of their data.
      pipelines: of all of them.
      left_out: studies with too few pipelines.
      scopes: all data first.
      dependences: of every choice that can be asked about on both sides.
    """

    studies: int
    sources: int
    pipelines: int
    left_out: int
    scopes: tuple[Scope, ...]
    dependences: tuple[Dependence, ...]


@dataclass(frozen=True, eq=False)
class _Study:
    """A study that was asked: by choice the rise in rank and in score."""

    card: StudyCard
    pipelines: int
    rises: Mapping[Choice, Values]


class Split(NamedTuple):
    """A property of data by which studies are told apart, at its median.

    Args:
      about: its name.
      of: its value; None where it is not known.
      title: of data by it, with {} for "up to 700" or "more than 700".
      scale: what values are shown times.
    """

    about: str
    of: Number
    title: str
    scale: float = 1.0

    def value(self, card: StudyCard) -> float | None:
        """Return a study's value as it is shown, to two digits, so that titles say where data are cut."""
        value = self.of(card)
        return None if value is None else float(f"{self.scale * value:.2g}")


def _lead(card: StudyCard) -> float | None:
    """How far the teacher is ahead of the student by hand that learns alone, of shares."""
    alone, teacher = card.baseline(ALONE), card.facts.teacher.get(card.facts.metric.in_float)
    if alone is None or teacher is None or card.facts.metric.unit != "%":
        return None
    return card.facts.metric.score(teacher) - alone


SPLITS = (
    Split("training samples", lambda card: card.facts.train or None, "{} training samples"),
    Split("classes", lambda card: card.facts.classes or None, "{} classes"),
    Split("lead of the teacher", _lead, "teacher ahead by {} points", scale=100.0),
)


def findings(base: Base) -> Findings:
    """Return what the studies of a base say about each choice."""
    bands = Bands(base.cards)
    asked = [found for card in base.cards if (found := _asked(card, bands)) is not None]
    ask = _Questions(asked, bands)
    halves = [half for split in SPLITS if (half := _halves(split, asked)) is not None]
    parts = [*_kinds(asked), *((about, *side) for about, *sides in halves for side in sides)]
    scopes = [ask.scope("", "all data", asked), *(ask.scope(*part) for part in parts)]
    return Findings(
        studies=len(asked),
        sources=_sources(asked),
        pipelines=sum(study.pipelines for study in asked),
        left_out=len(base.cards) - len(asked),
        scopes=tuple(scopes),
        dependences=tuple(ask.dependences(halves)),
    )


_Side = tuple[str, list[_Study]]


def _kinds(asked: Sequence[_Study]) -> Iterator[tuple[str, str, list[_Study]]]:
    """The studies on each kind of input, where there are several kinds and enough sources."""
    kinds = sorted({study.card.facts.modality for study in asked})
    for kind in kinds:
        studies = [study for study in asked if study.card.facts.modality == kind]
        if len(kinds) > 1 and _sources(studies) >= ENOUGH:
            yield "kind of input", kind, studies


def _halves(split: Split, asked: Sequence[_Study]) -> tuple[str, _Side, _Side] | None:
    """The studies below and above the median of a property; None where a half has too few sources."""
    known = {study: value for study in asked if (value := split.value(study.card)) is not None}
    cut = statistics.median_low(known.values()) if known else 0.0
    low, high = [s for s, value in known.items() if value <= cut], [s for s, value in known.items() if value > cut]
    if min(_sources(low), _sources(high)) < ENOUGH:
        return None
    titles = [split.title.format(f"{side} {cut:,.6g}") for side in ("up to", "more than")]
    return split.about, (titles[0], low), (titles[1], high)


def _sources(studies: Iterable[_Study]) -> int:
    return len({study.card.facts.source for study in studies})


def _asked(card: StudyCard, bands: Bands) -> _Study | None:
    found = design(card, bands)
    if len(found.has) < PIPELINES:
        return None
    coefficients = fit(found.has, np.stack([found.quantiles, found.scores], axis=1))
    rises = {choice: contrast @ coefficients for choice, contrast in found.contrasts.items()}
    return _Study(card, len(found.has), rises)


class _Questions:
    """What can be asked of some studies: every choice, and of two that exclude each other only the first."""

    def __init__(self, studies: Sequence[_Study], bands: Bands) -> None:
        choices = {choice for study in studies for choice in study.rises}
        places = list(slots())

        def order(choice: Choice) -> tuple[int, str, bool, float, str]:
            slot = choice.place.split(".")[0]
            at = places.index(slot) if slot in places else len(places)
            return at, choice.place, choice.option != TAUGHT, bands.rank(choice), choice.option

        self._against: dict[Choice, str] = {}
        for choice in sorted(choices, key=order):
            options = {each.option for each in choices if each.place == choice.place} - {choice.option}
            if is_many(choice.place):
                self._against[choice] = WITHOUT
            elif len(options) > 1:
                self._against[choice] = OTHERS
            elif Choice(choice.place, *options) not in self._against:
                self._against[choice] = next(iter(options))

    def scope(self, about: str, title: str, studies: Sequence[_Study]) -> Scope:
        """Return what is said of the data of some studies."""
        effects = [effect for choice in self._against if (effect := self._effect(choice, studies)) is not None]
        asked = [effect for effect in effects if effect.sources >= ENOUGH]
        adjusted = dict(zip((effect.choice for effect in asked), holm([effect.p for effect in asked]), strict=True))
        said = tuple(replace(effect, p=adjusted.get(effect.choice, 1.0)) for effect in effects)
        return Scope(about, title, len(studies), _sources(studies), said)

    def dependences(self, halves: Iterable[tuple[str, _Side, _Side]]) -> Iterator[Dependence]:
        """Yield how the worth of each choice differs between the halves of each split."""
        found = list(self._dependences(halves))
        for one, p in zip(found, holm([each.p for each in found]), strict=True):
            yield one._replace(p=p)

    def _effect(self, choice: Choice, studies: Sequence[_Study]) -> Effect | None:
        ranks = _by_source(choice, studies, 0)
        if not ranks:
            return None
        mean, p = mean_of(ranks)
        shares = [study for study in studies if study.card.facts.metric.unit == "%"]
        scores = _by_source(choice, shares, 1)
        return Effect(
            choice=choice,
            against=self._against[choice],
            rank=mean,
            score=mean_of(scores)[0] if len(scores) >= ENOUGH else None,
            p=p,
            studies=sum(choice in study.rises for study in studies),
            sources=len(ranks),
        )

    def _dependences(self, halves: Iterable[tuple[str, _Side, _Side]]) -> Iterator[Dependence]:
        for about, (low, fewer), (high, more) in halves:
            for choice, against in self._against.items():
                one, other = _by_source(choice, fewer, 0), _by_source(choice, more, 0)
                if min(len(one), len(other)) >= ENOUGH:
                    difference, p = difference_of(one, other)
                    sources = len(one), len(other)
                    yield Dependence(about, choice, against, low, high, difference, p, sources)


def _by_source(choice: Choice, studies: Iterable[_Study], target: int) -> list[float]:
    """The mean rise of each source of data in which a choice can be judged."""
    found: dict[str, list[float]] = {}
    for study in studies:
        if choice in study.rises:
            found.setdefault(study.card.facts.source, []).append(float(study.rises[choice][target]))
    return [statistics.fmean(values) for values in found.values()]
