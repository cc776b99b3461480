"""How good a claim's arms and the teacher are on test: one kind of interval, over seeds and test items, for each.

The differences that decide are those of the claim (`autokd.study.comparison`), made when test was read; these intervals
are for one mean, and for pairs that the claim does not compare, such as the teacher. The error of a mean has the same
two parts: SE² = s² / n + v, with s² the variance between seeds pooled over the arms, and v the variance that comes of
the test items, by the kept answers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autokd.metrics import METRICS, Metric
from autokd.study.answers import answers_file, read_answers, written
from autokd.study.intervals import half_width

if TYPE_CHECKING:
    from torch import Tensor

    from autokd.metrics import Predictions
    from autokd.study.claim import Claim

Floats = NDArray[np.float64]
TEACHER = "teacher"
DRAWS = 1000
"""Of a bootstrap of the gap that was closed."""


class Mean(NamedTuple):
    """A mean over seeds, or a difference of two, with its 95 % interval.

    Args:
      value: of the claim's metric.
      low, high: of the interval.
    """

    value: float
    low: float
    high: float

    def tells(self) -> bool:
        """Whether the interval leaves zero out; of a difference."""
        return not self.low <= 0.0 <= self.high


@dataclass(frozen=True)
class _Arm:
    """What is known of one arm, or of the teacher.

    Args:
      seeds: [S] values.
      items: what tells the variance that comes of the items, that of its mean being `items.var() / divisor`: by item
        the share of seeds that is right, or the means over seeds on bootstrap samples of the items; None where no
        answers are kept.
      divisor: items of the split, or 1.
    """

    seeds: Floats
    items: Floats | None
    divisor: int


class Means:
    """Means of a claim's arms and of the teacher on test, and their differences; by name of the arm or "teacher"."""

    def __init__(self, metric: Metric, known: dict[str, _Arm], n_test: int) -> None:
        self._metric, self._known, self._n_test = metric, known, n_test
        several = [arm.seeds for arm in known.values() if len(arm.seeds) > 1]
        self._df = float(sum(len(seeds) - 1 for seeds in several)) or math.inf
        squares = sum(float(seeds.var(ddof=1)) * (len(seeds) - 1) for seeds in several)
        self._seed_variance = squares / self._df

    def of(self, name: str) -> Mean | None:
        """Return the mean of an arm; None where it was not asked about test."""
        arm = self._known.get(name)
        if arm is None:
            return None
        value = float(arm.seeds.mean())
        margin = self._margin(self._items(arm, None, value) + self._seeds(arm))
        return Mean(value, max(self._metric.low, value - margin), min(self._metric.high, value + margin))

    def difference(self, name: str, other: str) -> Mean | None:
        """Return the mean of an arm minus that of another one; None where the answers of one are not kept."""
        one, two = self._known.get(name), self._known.get(other)
        if one is None or two is None or one.items is None or two.items is None:
            return None
        value = float(one.seeds.mean() - two.seeds.mean())
        margin = self._margin(self._items(one, two, value) + self._seeds(one) + self._seeds(two))
        return Mean(value, value - margin, value + margin)

    def gap_closed(self, name: str, alone: str) -> Mean | None:
        """Return the share of the gap between no teacher and the teacher that an arm closes.

        None where the teacher is not better than the arm without a teacher by more than chance. The interval is that of
        bootstrap samples of the items, with the spread between seeds drawn from a normal distribution.
        """
        gap = self.difference(TEACHER, alone)
        if gap is None or not gap.tells() or self._metric.score(gap.value) < 0 or self.difference(name, alone) is None:
            return None
        rng = np.random.default_rng(0)
        used, base, teacher = self._drawn([name, alone, TEACHER], rng)
        shares = (used - base) / np.where(teacher == base, np.nan, teacher - base)
        low, high = np.nanquantile(shares, [0.025, 0.975])
        middle = self._known[name].seeds.mean() - self._known[alone].seeds.mean()
        return Mean(float(middle / gap.value), float(low), float(high))

    def _margin(self, variance: float) -> float:
        return half_width(self._df) * math.sqrt(variance)

    def _seeds(self, arm: _Arm) -> float:
        """Variance of an arm's mean that comes of the seeds; the teacher has none."""
        return 0.0 if arm is self._known.get(TEACHER) else self._seed_variance / len(arm.seeds)

    def _items(self, arm: _Arm, other: _Arm | None, value: float) -> float:
        """Variance that comes of the items; of a share as of coins where no answers are kept, else nothing then."""
        if arm.items is None:
            share = self._metric.unit == "%" and 0 <= value <= 1 and self._n_test
            return value * (1 - value) / self._n_test if share else 0.0
        items = arm.items if other is None or other.items is None else arm.items - other.items
        return float(items.var(ddof=1)) / arm.divisor

    def _drawn(self, names: Iterable[str], rng: np.random.Generator) -> list[Floats]:
        """Means of these on the same bootstrap samples, seeds drawn too."""
        arms = [self._known[name] for name in names]
        items = [arm.items for arm in arms if arm.items is not None]
        if arms[0].divisor > 1:
            counts = rng.multinomial(arms[0].divisor, np.full(arms[0].divisor, 1 / arms[0].divisor), size=DRAWS)
            items = [counts @ shares / arms[0].divisor for shares in items]
        return [
            drawn + rng.normal(0.0, math.sqrt(self._seeds(arm)), size=len(drawn))
            for arm, drawn in zip(arms, items, strict=True)
        ]


def means_of(study: Path, claim: Claim) -> Means:
    """Return the means of a claim.

    Args:
      study: its folder, where the answers are kept.
      claim: made in it.
    """
    file = answers_file(study, claim.round)
    tests = tuple((arm.name, tuple(arm.test)) for arm in claim.arms if arm.test)
    teacher = None if claim.teacher is None else claim.teacher.test
    return _means(file, written(file), claim.metric, tests, teacher, claim.n_test)


@functools.lru_cache(maxsize=8)
def _means(
    file: Path,
    state: tuple[int, int] | None,
    metric: str,
    tests: tuple[tuple[str, tuple[float, ...]], ...],
    teacher: float | None,
    n_test: int,
) -> Means:
    """The means, read once; `state` is in the key, so that a file that is written again is read again."""
    known = {name: np.array(values) for name, values in tests}
    if teacher is not None and n_test:
        known[TEACHER] = np.array([teacher])
    items = {} if state is None else _items_of(file, METRICS[metric], known)
    kept = next(iter(items.values()), None)
    divisor = 1 if not METRICS[metric].counts_right or kept is None else len(kept)
    return Means(METRICS[metric], {name: _Arm(v, items.get(name), divisor) for name, v in known.items()}, n_test)


def _items_of(file: Path, metric: Metric, known: dict[str, Floats]) -> dict[str, Floats]:
    """What tells the variance that comes of the items, by arm; {} where the answers cannot be read."""
    from autokd.study.comparison import measure

    kept = read_answers(file)
    rows = {} if kept is None else {name: _answered(kept, name, len(values)) for name, values in known.items()}
    found = {name: row for name, row in rows.items() if row}
    if metric.counts_right:
        return {name: _right(row) for name, row in found.items()}
    return measure(metric, found).resampled


def _answered(kept: dict[str, Tensor], name: str, seeds: int) -> list[Predictions | None]:
    """The answers of an arm's seeds, or of the teacher; None for a run that failed, [] where they are not all kept."""
    from autokd.metrics import predictions

    logits = [kept.get(f"{TEACHER}/test" if name == TEACHER else f"{name}/{i}/test") for i in range(seeds)]
    there = [one for one in logits if one is not None]
    found = [predictions(one.float(), kept["labels/test"]) if one.any() else None for one in there]
    return found if len(found) == seeds else []


def _right(row: list[Predictions | None]) -> Floats:
    """[N] the share of an arm's seeds that is right on each item; a run that failed is right on none."""
    items = next((len(answers.labels) for answers in row if answers is not None), 1)
    nothing = np.zeros(items)
    right = [nothing if one is None else (one.predicted == one.labels).double().numpy() for one in row]
    return np.asarray(np.mean(right, axis=0), dtype=np.float64)
