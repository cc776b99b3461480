"""Records of format 1 in today's form: the only place that knows what earlier versions wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autokd.study.arms import ALONE, PICK, RECIPE

_ARMS = {"recommended": PICK, "ce": ALONE}
"""Names that arms had."""
_BASELINE = "baseline:"
"""What the source of a trial began with that was a start baseline; the kind of its arm followed."""
_METRIC = "accuracy"
"""What studies from before there were objectives are about."""


def arm_name(name: str) -> str:
    """Return today's name of an arm."""
    return _ARMS.get(name, name)


def former_arm_name(name: str) -> str:
    """Return the name that an arm of today had, for the files that it was part of the name of."""
    return next((former for former, today in _ARMS.items() if today == name), name)


def source_name(source: str) -> str:
    """Return today's name of where a trial came from."""
    return RECIPE + arm_name(source.removeprefix(_BASELINE)) if source.startswith(_BASELINE) else source


def claim_of_today(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of an event "claim"; one from before there were several comparators has a single one."""
    if "comparators" in values:
        return dict(values)
    kept = {key: value for key, value in values.items() if key != "comparator"}
    return {**kept, "comparators": [values["comparator"]], "evidence": "fresh seeds"}


def claim_from_evidence(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a claim, given those of an event "evidence"."""
    seeds = values["seeds"]
    arms = [
        {
            "name": arm_name(name),
            "kind": arm_name(name),
            "pipeline": arm["pipeline"],
            "cost": values["cost"],
            "runs": {
                "claim": [
                    {"seed": seed, "validation": validation, "test": test}
                    for seed, validation, test in zip(seeds, arm["validation"], arm["test"], strict=True)
                ]
            },
        }
        for name, arm in values["arms"].items()
    ]
    return {
        "round": values["round"],
        "trials": values["trials"],
        "trial": values["trial"],
        "use": PICK,
        "comparator": arm_name(values["comparator"]),
        "arms": arms,
        "metric": values.get("metric", _METRIC),
        "epochs": values["epochs"],
        "teacher": values["teacher"],
        "comparisons": {arm_name(name): compared for name, compared in values["comparisons"].items()},
        "prediction_interval": values["prediction_interval"],
        "gap_closed": values["gap_closed"],
        "n_test": values["n_test"],
        "front": values.get("front", []),
    }
