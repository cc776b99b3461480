"""What went with each option of the pipelines: the median score of the trials with it less that of those without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from autokd.report.sections.choices.facts import choices
from autokd.study.fidelity import RESAMPLES, score_at
from autokd.study.intervals import LEVEL
from autokd.study.ranking import common_rung
from autokd.study.records import TrialRecord

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

FEWEST_EACH = 5
"""Trials with an option, and without it, below which nothing is said of it."""
WITH, WITHOUT = "with", "without"


class Effect(NamedTuple):
    """What went with an option at one length.

    Args:
      difference: of the median scores, more is better; None where there are too few trials on a side.
      low, high: 95 % interval by the bootstrap over trials; None likewise.
      n, others: trials with the option, and without it.
    """

    difference: float | None
    low: float | None
    high: float | None
    n: int
    others: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low is not None and self.high is not None and not self.low <= 0.0 <= self.high


class Option(NamedTuple):
    """An option of a slot.

    Args:
      slot: of the pipeline.
      name: of the component.
      effects: one a length, as `lengths` has them.
    """

    slot: str
    name: str
    effects: tuple[Effect, ...]

    @property
    def first(self) -> Effect:
        """At the length that most trials reached."""
        return self.effects[0]


def lengths(study: StudyStore) -> list[int]:
    """Return the rungs at which options are compared: the highest that many trials reached, and the top one."""
    common, top = common_rung(study.records.trials.values()), study.top_rung
    return [common if common < top else 0, top] if top else [0]


def options(study: StudyStore) -> list[Option]:
    """Return the options in which trials differ, those with a clear effect first, then by its size."""
    trials, rungs = list(study.records.trials.values()), lengths(study)
    groups = choices([trial for trial in trials if score_at(trial, rungs[0]) is not None])
    found = [
        Option(slot, name, tuple(_effect(having, lacking, rung) for rung in rungs))
        for slot, name, having, lacking in _sides(groups)
    ]
    return sorted(
        found, key=lambda o: (o.first.difference is None, not o.first.is_clear, -abs(o.first.difference or 0))
    )


def _sides(
    groups: Mapping[str, Mapping[str, Sequence[TrialRecord]]],
) -> Iterator[tuple[str, str, Sequence[TrialRecord], Sequence[TrialRecord]]]:
    """(slot, option, trials with it, trials without it); of two options one, since the other is its mirror image."""
    for slot, held in groups.items():
        if set(held) == {WITH, WITHOUT}:
            kind, _, name = slot.partition(": ")
            yield kind, name, held[WITH], held[WITHOUT]
            continue
        for name in sorted(held)[: 1 if len(held) == 2 else None]:
            yield slot, name, held[name], [trial for other in held if other != name for trial in held[other]]


def _effect(having: Sequence[TrialRecord], lacking: Sequence[TrialRecord], rung: int) -> Effect:
    one, other = (
        np.array([score for trial in side if (score := score_at(trial, rung)) is not None])
        for side in (having, lacking)
    )
    if min(len(one), len(other)) < FEWEST_EACH:
        return Effect(None, None, None, len(one), len(other))
    rng = np.random.default_rng(0)
    drawn = [np.median(rng.choice(side, (RESAMPLES, len(side))), axis=1) for side in (one, other)]
    low, high = np.quantile(drawn[0] - drawn[1], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Effect(float(np.median(one) - np.median(other)), float(low), float(high), len(one), len(other))
