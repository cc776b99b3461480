"""The recorded table, and a search that is replayed on it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.replay.crossing import ALL, Names

Floats = NDArray[np.float64]
CLOSE = 1.0
"""How near the best a pick is to come, in standard deviations of the noise between seeds."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Recorded runs of every pipeline of the crossing.

    Args:
      epochs: at the end of each rung.
      score: [pipeline, seed, rung] validation accuracy; NaN where the run had failed before.
      seconds: [pipeline, seed, rung] CPU seconds from a run's start.
      params, macs: [pipeline] of the student.
    """

    epochs: tuple[int, ...]
    score: Floats
    seconds: Floats
    params: Floats
    macs: Floats

    @classmethod
    def read(cls, path: Path, column: str = "score") -> Table:
        """Read a table; `column` is "score" or "average"."""
        frame = pd.read_parquet(path)
        where = pd.MultiIndex.from_product([range(len(ALL)), sorted(frame["seed"].unique()), range(3)])
        frame["pipeline"] = [INDEX[Names(*row)] for row in frame[list(Names._fields)].itertuples(index=False)]
        indexed = frame.set_index(["pipeline", "seed", "rung"]).reindex(where)
        shape = (len(ALL), -1, 3)
        cost = frame.groupby("pipeline")[["params", "macs"]].first().reindex(range(len(ALL)))
        return cls(
            epochs=tuple(int(found) for found in sorted(frame["epochs"].dropna().unique())),
            score=indexed[column].to_numpy(float).reshape(shape),
            seconds=indexed["seconds"].to_numpy(float).reshape(shape),
            params=cost["params"].to_numpy(float),
            macs=cost["macs"].to_numpy(float),
        )

    @functools.cached_property
    def truth(self) -> Floats:
        """[pipeline] mean over seeds at the top rung; a failed run counts as 0."""
        found: Floats = np.nan_to_num(self.score[:, :, -1]).mean(1)
        return found

    @functools.cached_property
    def noise(self) -> float:
        """Pooled standard deviation between seeds at the top rung, of the better half of the pipelines.

        Some of the others collapse under some seeds, at the highest learning rate: that is no noise of a good pipeline.
        """
        good = self.truth >= np.median(self.truth)
        return float(np.sqrt(np.nan_to_num(self.score[good][:, :, -1]).var(1, ddof=1).mean()))

    @property
    def target(self) -> float:
        """What a pick has to be worth to be as good as the best."""
        return float(self.truth.max()) - CLOSE * self.noise


INDEX = {names: index for index, names in enumerate(ALL)}


class Point(NamedTuple):
    """A search after one more rung.

    Args:
      tops: epochs spent, in runs to the top rung.
      seconds: spent.
      truth: what the pipeline that the search would pick is worth; 0 where it has none.
    """

    tops: float
    seconds: float
    truth: float


class Spent(Exception):
    """The budget is used up."""


@dataclass
class Replay:
    """Answers a search from the table, counts what it spends, and knows what it would pick.

    A pipeline that is asked for again is answered from another of its seeds. The pick is the pipeline with the best
    mean of the scores seen at the highest rung that any has reached.

    Args:
      table: recorded.
      seed: of the order in which a pipeline's seeds are given.
      budget: in runs to the top rung.
    """

    table: Table
    seed: int
    budget: float
    points: list[Point] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._orders = np.random.default_rng([self.seed, 1]).permuted(
            np.tile(np.arange(self.table.score.shape[1]), (len(ALL), 1)), axis=1
        )
        self._asked = np.zeros(len(ALL), dtype=int)
        self._seen: list[dict[int, list[float]]] = [{} for _ in self.table.epochs]
        self.tops = self.seconds = 0.0

    def begin(self, pipeline: int) -> int:
        """Return the recorded seed that the next run of a pipeline is."""
        order = self._orders[pipeline]
        self._asked[pipeline] += 1
        return int(order[(self._asked[pipeline] - 1) % len(order)])

    def rung(self, pipeline: int, seed: int, rung: int, done: int | None = None) -> float:
        """Return the score of one more rung of a run, NaN where it fails, and count its cost.

        Args:
          pipeline, seed: the run.
          rung: to train to.
          done: rungs that the run has behind it; by default all those below.

        Raises:
          Spent: the budget was used up before it.
        """
        if self.tops >= self.budget - 1e-9:
            raise Spent
        epochs, spent = (0, *self.table.epochs), np.append(0.0, self.table.seconds[pipeline, seed])
        behind = rung if done is None else done
        self.tops += (epochs[rung + 1] - epochs[behind]) / epochs[-1]
        self.seconds += float(np.nan_to_num(spent[rung + 1] - spent[behind]))
        score = float(self.table.score[pipeline, seed, rung])
        self._seen[rung].setdefault(pipeline, []).append(float(np.nan_to_num(score)))
        self.points.append(Point(self.tops, self.seconds, self._pick()))
        return score

    def _pick(self) -> float:
        top = next(seen for seen in reversed(self._seen) if seen)
        return float(self.table.truth[max(top, key=lambda pipeline: np.mean(top[pipeline]))])


def reached(points: Sequence[Point], target: float, by: str) -> float:
    """Return what was spent when the pick was first worth the target; infinity where it never was."""
    return next((float(getattr(p, by)) for p in points if p.truth >= target), float("inf"))


def worth(points: Sequence[Point], spent: float, by: str = "tops") -> float:
    """Return what the pick was worth when so much was spent."""
    before = [p.truth for p in points if getattr(p, by) <= spent + 1e-9]
    return before[-1] if before else 0.0


def interval(values: Any, statistic: Any = np.mean, resamples: int = 2000) -> tuple[float, float]:
    """Return a 95 % percentile bootstrap interval over search seeds (the first axis)."""
    values = np.asarray(values)
    rng = np.random.default_rng(0)
    found = [statistic(values[rng.integers(0, len(values), len(values))]) for _ in range(resamples)]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def difference(ours: Any, theirs: Any, resamples: int = 2000) -> tuple[float, float]:
    """Return a 95 % percentile bootstrap interval of a difference of means over search seeds."""
    rng = np.random.default_rng(0)
    found = [rng.choice(ours, len(ours)).mean() - rng.choice(theirs, len(theirs)).mean() for _ in range(resamples)]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)
