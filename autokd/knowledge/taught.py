"""Runs of past studies as rules, which fit any data and any limit since they name no student."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from autokd.recipes import Rule
from autokd.spec import fingerprint
from autokd.study.arms import PAST

STATED = frozenset({"format", "student", "head", "augment", "losses", "optimizer", "schedule", "batch_size"})
"""Of a pipeline, what a rule says, and what it leaves to the data and the limits."""


def rule_from(pipeline: Mapping[str, Any]) -> Rule | None:
    """Return a pipeline of a past study as a rule; None where it has parts that a rule has not.

    Numbers are rounded, so that a rule can be read, and nearly equal ones are one.
    """
    if any(pipeline.get(slot) is not None for slot in pipeline.keys() - STATED):
        return None
    plain = rounded(pipeline)
    losses = {use: {key: value for key, value in loss.items() if key != "use"} for use, loss in plain["losses"].items()}
    if any(use != loss["use"] for use, loss in plain["losses"].items()):
        return None  # the same loss twice
    stated = {slot: plain[slot] for slot in ("optimizer", "augment", "head", "schedule", "batch_size")}
    return Rule(name=PAST + fingerprint({**stated, "losses": losses})[:8], title=_title(plain), losses=losses, **stated)


def _title(plain: Mapping[str, Any]) -> str:
    losses = " + ".join(use for use in plain["losses"] if use != "ce") or "student alone"
    optimizer = f"{plain['optimizer']['use']} {plain['optimizer']['learning_rate']:g}"
    augment = "no augmentation" if plain["augment"]["use"] == "none" else plain["augment"]["use"]
    return f"{losses}, {optimizer}, {augment}, batches of {plain['batch_size']}"


def rounded(value: Any) -> Any:
    """Return a plain value with every number to two figures."""
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.2g}")
    return value
