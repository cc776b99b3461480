"""What each option of a slot is worth, from the trials of the design: the best recipe with a slot or two changed.

Scores are compared after the shortest rung, which all of them have. A trial that has two slots changed says what both
are worth together; least squares over all trials tells them apart, as every option was seen beside different others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from autokd.study.records import Records, TrialRecord


class Effect(NamedTuple):
    """What an option is worth.

    Args:
      slot: of the pipeline.
      option: name of a component, with those of its fields that alone are other than in the recipe; or a number.
      worth: score at the shortest rung, less that of what the recipe has in its place.
      n: trials that it was seen in.
    """

    slot: str
    option: str
    worth: float
    n: int


def effects(records: Records) -> list[Effect]:
    """Return what the options of a study's design are worth, the best of each slot first; [] without a design.

    Where too few trials hold an option for its worth to be told from that of another, they share it evenly.
    """
    pairs = list(_compared(records.trials))
    rows = [changes(base.pipeline, trial.pipeline) for trial, base in pairs]
    options = list(dict.fromkeys(option for row in rows for option in row))
    if not options:
        return []
    matrix = np.array([[option in row for option in options] for row in rows], dtype=float)
    gains = np.array([trial.rungs[0].score - base.rungs[0].score for trial, base in pairs])
    worths = np.linalg.lstsq(matrix, gains, rcond=None)[0]
    counts = matrix.sum(0)
    found = [Effect(*options[i], float(worths[i]), int(counts[i])) for i in range(len(options))]
    slots = list(dict.fromkeys(slot for slot, _ in options))
    return sorted(found, key=lambda effect: (slots.index(effect.slot), -effect.worth))


def changes(base: Mapping[str, Any], pipeline: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (slot, option) of what a plain pipeline has and its base has not.

    Of a slot that holds several components that is each other one; "less NAME" where one is only left out.
    """
    slots = [slot for slot in pipeline if pipeline[slot] != base.get(slot)]
    return [(slot, option) for slot in slots for option in _options(base.get(slot), pipeline[slot])]


def _compared(trials: Mapping[int, TrialRecord]) -> Iterator[tuple[TrialRecord, TrialRecord]]:
    """The trials that were changed from another one, each with that one, where both have a score."""
    for trial in trials.values():
        base = None if trial.base is None else trials.get(trial.base)
        if base is not None and trial.failure is None and trial.rungs and base.rungs:
            yield trial, base


def _options(before: Any, after: Any) -> list[str]:
    """What a slot holds now that it did not before."""
    if not isinstance(after, Mapping):
        return [str(after)]
    if "use" in after:
        return [_named(before, after)]
    held = before or {}
    more = [_named(held.get(name), part) for name, part in after.items() if part != held.get(name)]
    return more or [f"less {name}" for name in held if name not in after]


def _named(before: Any, after: Mapping[str, Any]) -> str:
    """A component's name, and those of its fields that alone are others."""
    use = str(after["use"])
    if not isinstance(before, Mapping) or before.get("use") != use:
        return use
    fields = [
        f"{key} = {value:.3g}" if isinstance(value, float) else f"{key} = {value}"
        for key, value in after.items()
        if value != before.get(key)
    ]
    return f"{use} ({', '.join(fields)})"
