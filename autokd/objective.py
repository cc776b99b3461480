"""What a study is to be good at: one metric of quality, or several objectives, of which costs may be some."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autokd.errors import UserError, nearest
from autokd.metrics import METRICS, Metric

COSTS = {"params": "parameters", "macs": "MACs", "size": "bytes", "latency": "latency (ms)"}
"""What a student may cost, and how that is called; less is better. All but latency follow from the architecture."""
UNITS = {
    "latency": {"us": 1e-3, "ms": 1.0, "s": 1e3},
    "size": {"b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30},
}
"""Of costs that are written with a unit; without one they are milliseconds and bytes."""


@dataclass(frozen=True)
class Objective:
    """What a study is to be good at.

    Args:
      names: of metrics and costs; the first is a metric, the one that scores, noise and the claim are about.
    """

    names: tuple[str, ...] = ("accuracy",)

    @property
    def metric(self) -> Metric:
        """The first objective."""
        return METRICS[self.names[0]]

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return len(self.names) > 1

    def values(self, score: float, metrics: Mapping[str, float], cost: Mapping[str, float]) -> tuple[float, ...]:
        """Return what a student reached in each objective, such that more is better.

        Args:
          score: of the first objective, more is better.
          metrics: values of all metrics, by name.
          cost: of the student, by name.
        Example:
          >>> Objective(("log_loss", "params")).values(-0.5, {"log_loss": 0.5}, {"params": 100.0})
          (-0.5, -100.0)
        """
        others = (METRICS[n].score(metrics[n]) if n in METRICS else -cost[n] for n in self.names[1:])
        return (score, *others)

    def shown(self, values: Sequence[float]) -> dict[str, float]:
        """Return by name what `values` returned, each as it is counted by itself: a cost, or the metric's value."""
        signs = (METRICS[name].score(1.0) if name in METRICS else -1.0 for name in self.names)
        return {name: sign * value for name, sign, value in zip(self.names, signs, values, strict=True)}

    def as_plain(self) -> dict[str, str]:
        """Return the direction of each objective, by name, as space files and `study.yaml` have it."""
        return {name: direction(name) for name in self.names}


ACCURACY = Objective()


def direction(name: str) -> str:
    """Return "maximize" or "minimize".

    Example:
      >>> direction("accuracy"), direction("log_loss"), direction("params")
      ('maximize', 'minimize', 'minimize')
    """
    return METRICS[name].direction if name in METRICS else "minimize"


def of_plain(plain: Mapping[str, Any]) -> Objective:
    """Return the objective of a study, given {name: direction}."""
    return Objective(tuple(plain))


def of_names(names: str | Sequence[str], option: str = "--objective") -> Objective:
    """Return the objective that names stand for.

    Args:
      names: of metrics and costs, the most important first; several in one text are separated by commas.
      option: where they were given, for the message.

    Raises:
      UserError: there is no such objective, it stands twice, or the first one is not a metric.
    Example:
      >>> of_names(["accuracy", "params"]).as_plain()
      {'accuracy': 'maximize', 'params': 'minimize'}
      >>> of_names("accuracy, params").names
      ('accuracy', 'params')
    """
    names = [name.strip() for name in names.split(",")] if isinstance(names, str) else names
    there = [*METRICS, *COSTS]
    unknown = [name for name in names if name not in there]
    if unknown:
        hint = nearest(unknown[0], there)
        more = "" if hint.startswith("one of") else f" There are {', '.join(there)}"
        raise UserError(f"{option} {','.join(names)}: there is no objective called {unknown[0]!r}; {hint}{more}")
    if len(set(names)) < len(names):
        raise UserError(f"{option} {','.join(names)}: an objective stands twice")
    _check_first(names, option)
    return Objective(tuple(names))


def _check_first(names: Sequence[str], option: str) -> None:
    if not names or names[0] not in METRICS:
        raise UserError(
            f"{option} {','.join(names)}: the first objective must be a metric ({', '.join(METRICS)}); "
            f"costs ({', '.join(COSTS)}) may follow it"
        )
    late = late_metrics(names)
    if late:
        raise UserError(f"{option} {','.join(names)}: {late[0]} must be the first objective: only full runs have it")


def late_metrics(names: Sequence[str]) -> list[str]:
    """Return the objectives behind the first that only full-length runs have, and which therefore must be the first."""
    return [name for name in names[1:] if name in METRICS and METRICS[name].quantised]


def amount(cost: str, text: str) -> float:
    """Return the milliseconds of "5ms", "0.8 ms", "1s", "5", or the bytes of "200KB", "1.5MB", "2e5".

    Args:
      cost: "latency" or "size".
      text: what was written.

    Raises:
      ValueError: it is no such amount, or not above 0.
    Example:
      >>> amount("latency", "0.2s"), amount("size", "1.5 MB")
      (200.0, 1500000.0)
    """
    units = UNITS[cost]
    match = re.fullmatch(r"([0-9.]+(?:e[+-]?[0-9]+)?)\s*([a-z]*)", text.strip().lower())
    try:
        found = float(match[1]) * units[match[2]] if match and match[2] else float(text)
    except (KeyError, ValueError):
        found = math.nan
    if not (math.isfinite(found) and found > 0):
        example = "5ms or 0.2s" if cost == "latency" else "200KB or 1.5MB"
        raise ValueError(f"{text!r} is not a {cost}; write for instance {example}")
    return found


def shown_limit(cost: str, limit: float) -> str:
    """Return a constraint in words.

    Example:
      >>> shown_limit("params", 64000), shown_limit("latency", 5)
      ('params <= 64,000', 'latency <= 5 ms')
    """
    unit = {"latency": " ms", "size": " bytes", "size_int8": " bytes"}.get(cost, "")
    return f"{cost} <= {limit:,.6g}{unit}"
