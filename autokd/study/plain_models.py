"""The recommended student beside models that take five lines to write; see `autokd.search.confirm.plain_models`."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from autokd.metrics import METRICS, Metric, Predictions, predictions
from autokd.study.answers import read_answers, written

PLAIN = "plain"
"""Where the answers of plain models are among those of a claim: "plain/NAME/SPLIT"."""
RESAMPLES = 400
"""Bootstrap samples of test items and seeds."""
LEVEL = 0.95


class PlainModel(NamedTuple):
    """The best plain model, by validation, and the recommended student minus it.

    Args:
      name: "majority", "logistic regression", "nearest neighbour" or "boosted trees".
      validation, test: its values of the claim's metric.
      difference: of the student's mean over seeds and this model, on test.
      low, high: 95 % bootstrap interval, over test items and seeds.
    """

    name: str
    validation: float
    test: float
    difference: float
    low: float
    high: float

    def is_better(self, metric: Metric) -> bool:
        """Whether the plain model beats the student by more than chance."""
        return max(metric.score(self.low), metric.score(self.high)) < 0


def best_plain_model(file: Path, arm: str, metric: Metric) -> PlainModel | None:
    """Return the plain model that is best on validation, beside an arm of the claim; None where none was fitted.

    Args:
      file: what was answered in the claim (`autokd.study.answers.answers_file`).
      arm: name of the recommended arm.
      metric: the claim's.
    """
    state = written(file)
    return None if state is None else _best(file, arm, metric.name, state)


@functools.lru_cache(maxsize=8)
def _best(file: Path, arm: str, metric_name: str, _: tuple[int, int]) -> PlainModel | None:
    """The best plain model, worked out once for a file that has not changed since."""
    kept, metric = read_answers(file), METRICS[metric_name]
    if kept is None:
        return None
    names = [name.split("/")[1] for name in kept if name.startswith(f"{PLAIN}/") and name.endswith("/test")]
    runs = [_answers(kept, name.removesuffix("/test"), "test") for name in _runs_of(kept, arm)]
    if not names or not runs:
        return None
    on_validation = {name: metric.of(_answers(kept, f"{PLAIN}/{name}", "validation")) for name in names}
    best = max(names, key=lambda name: metric.score(on_validation[name]))
    plain = _answers(kept, f"{PLAIN}/{best}", "test")
    drawn = _differences(runs, plain, metric)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    mean = float(np.mean([metric.of(run) for run in runs]))
    value = metric.of(plain)
    return PlainModel(best, on_validation[best], value, mean - value, float(low), float(high))


def _runs_of(kept: Mapping[str, Tensor], arm: str) -> list[str]:
    """The arm's answers on test, of runs that did not fail: of those that did they are zeros."""
    names = sorted(name for name in kept if name.startswith(f"{arm}/") and name.endswith("/test"))
    return [name for name in names if kept[name].any()]


def _answers(kept: Mapping[str, Tensor], name: str, split: str) -> Predictions:
    return predictions(kept[f"{name}/{split}"].float(), kept[f"labels/{split}"])


def _differences(runs: list[Predictions], plain: Predictions, metric: Metric) -> list[float]:
    """Student minus plain model, on bootstrap samples of the items and of the seeds."""
    rng, items = np.random.default_rng(0), len(plain.labels)
    found = []
    for _ in range(RESAMPLES):
        index = torch.from_numpy(rng.integers(items, size=items))
        seeds = rng.integers(len(runs), size=len(runs))
        values = {seed: metric.of(runs[seed].take(index)) for seed in set(seeds.tolist())}
        found.append(float(np.mean([values[seed] for seed in seeds.tolist()])) - metric.of(plain.take(index)))
    return found
