"""Statistics that several sections show."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from autokd.metrics import Metric
from autokd.study.intervals import half_width


def mean_interval(values: Sequence[float], metric: Metric) -> tuple[float, float] | None:
    """95 % t interval of a mean over seeds, inside the metric's bounds; None for a single value."""
    if len(values) < 2:
        return None
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))
    margin = half_width(len(values) - 1) * error
    return max(metric.low, mean - margin), min(metric.high, mean + margin)
