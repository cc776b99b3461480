"""Failed trials by their reason, and what helps against each kind."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from autokd.study.records import TrialRecord

AGAIN = 3
"""Trials that fail the same way before that is said."""
REMEDIES = {
    "out_of_memory": "lower --max-params or --max-macs, or the batch sizes of the space file",
    "not_finite": "lower the learning rates or the weights of the losses in the space file",
    "timeout": "leave out of the space file what takes so long",
    "crash": "read workers.log in the study's folder; fewer --workers need less memory",
    "error": "read log.txt in the study's folder; leave the component out of the space file, or mend it",
}
"""What helps against a kind of failure."""


def kind_of(failure: Mapping[str, str] | None) -> str:
    """Return the kind of a trial's or a run's failure; "" for none."""
    return "" if failure is None else failure["kind"]


class Group(NamedTuple):
    """Trials that failed the same way.

    Args:
      kind: of the failure.
      reason: that of the first.
      trials: their numbers.
    """

    kind: str
    reason: str
    trials: tuple[int, ...]

    @property
    def remedy(self) -> str:
        """What helps."""
        return REMEDIES.get(self.kind, REMEDIES["error"])


def grouped(trials: Iterable[TrialRecord]) -> list[Group]:
    """Return failed trials by kind and reason, most frequent first; numbers in the reason do not count."""
    groups: dict[tuple[str, str], Group] = {}
    for trial in trials:
        if trial.failure is not None:
            kind, reason = trial.failure["kind"], trial.failure["reason"]
            key = kind, re.sub(r"\d+", "#", reason)
            held = groups.get(key, Group(kind, reason, ()))
            groups[key] = held._replace(trials=(*held.trials, trial.number))
    return sorted(groups.values(), key=lambda group: -len(group.trials))
