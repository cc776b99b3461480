"""A pipeline as numbers, such that pipelines of different data sets can be compared."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autokd.spec import is_teacher, read_by_plain

LOGARITHMIC = frozenset({"learning_rate", "weight_decay", "weight", "temperature", "beta", "width"})
"""Fields that matter by their ratio."""
FLOOR = 1e-6
"""In place of 0 in a logarithm."""
PLAIN_HEAD = "plain"


class Subject(NamedTuple):
    """A pipeline, and what of its study its numbers depend on.

    Args:
      pipeline: plain.
      share: of the largest number of parameters that a student may have, above 0.
      steps: of the optimizer, from begin to end.
    """

    pipeline: Mapping[str, Any]
    share: float
    steps: float


def features(subject: Subject) -> dict[str, float]:
    """Return the numbers of a pipeline by name; what a pipeline has not is 0 or left out.

    A component is 1 where it is used. Numeric fields of a component have its name before theirs.
    """
    found = {
        "share": math.log(max(subject.share, FLOOR)),
        "steps": math.log(max(subject.steps, 1.0)),
        "distils": float(_distils(subject.pipeline)),
    }
    for slot, value in subject.pipeline.items():
        found.update(_of_slot(slot, value))
    return found


def table_of(
    rows: Sequence[Mapping[str, float]], names: Sequence[str] | None = None
) -> tuple[NDArray[np.float64], list[str]]:
    """Return numbers of pipelines as rows [n, F], and the names of the columns.

    Args:
      rows: of each pipeline, by `features`.
      names: of the columns; None: all that occur. What is not among them is left out.
    """
    columns = sorted({name for row in rows for name in row}) if names is None else list(names)
    return np.array([[row.get(name, 0.0) for name in columns] for row in rows]).reshape(
        len(rows), len(columns)
    ), columns


def _distils(pipeline: Mapping[str, Any]) -> bool:
    return any(is_teacher(read_by_plain(loss)) for loss in pipeline["losses"].values())


def _of_slot(slot: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, bool | int | float):
        yield slot, math.log(value) if slot == "batch_size" else float(value)
    elif isinstance(value, Mapping) and "use" in value:
        yield from _of_component(slot, value)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _of_component(slot, part)


def _of_component(slot: str, plain: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    use = f"{slot}.{plain['use']}"
    yield use, 1.0
    for name, value in plain.items():
        if isinstance(value, bool | int | float):
            yield f"{use}.{name}", math.log(max(value, FLOOR)) if name in LOGARITHMIC else float(value)
