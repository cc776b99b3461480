"""Trials by what was chosen for each slot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autokd.spec import Slot, slots
from autokd.study.records import TrialRecord


def choices(trials: Sequence[TrialRecord]) -> dict[str, dict[str, list[TrialRecord]]]:
    """Return trials by what was chosen: slot -> option -> trials.

    A slot of several components (losses) has an entry for each component that not all pipelines hold, with the options
    "with" and "without". Slots where all trials agree are left out, and those that hold no component.
    """
    groups: dict[str, dict[str, list[TrialRecord]]] = {}
    names = _names(trials)
    for trial in trials:
        for slot, option in _chosen(trial, names).items():
            groups.setdefault(slot, {}).setdefault(option, []).append(trial)
    return {slot: options for slot, options in groups.items() if len(options) > 1}


def _names(trials: Sequence[TrialRecord]) -> dict[str, list[str]]:
    """The components that occur in each slot of several."""
    several = [name for name, slot in slots().items() if isinstance(slot, Slot) and slot.many]
    return {slot: list(dict.fromkeys(n for trial in trials for n in trial.pipeline.get(slot, ()))) for slot in several}


def _chosen(trial: TrialRecord, names: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What stands in each slot of a trial's pipeline that holds one component; with or without, for each of several."""
    one = [name for name, slot in slots().items() if isinstance(slot, Slot) and not slot.many]
    held = {slot: str(trial.pipeline[slot]["use"]) for slot in one if slot in trial.pipeline}
    return held | {
        f"{slot}: {name}": "with" if name in trial.pipeline.get(slot, ()) else "without"
        for slot, there in names.items()
        for name in there
    }
