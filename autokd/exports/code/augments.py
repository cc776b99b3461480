"""Augmentation policies as plain code: the lines that augment a batch of inputs and targets."""

from __future__ import annotations

from typing import Any

from autokd.augments.batchwise import batch_calls, policies
from autokd.errors import ComponentError
from autokd.exports.code.source import Code, place_of
from autokd.spec import component_to_plain
from autokd.types import Task


def write_augment(code: Code, component: Any, task: Task) -> list[str]:
    """Add to the code what a policy needs.

    Args:
      code: is added to.
      component: the policy.
      task: whose samples it changes.
    Returns:
      The lines that change `inputs`, samples as the policy sees them, and `targets` [B, C]; none where nothing changes.

    Raises:
      ComponentError: it cannot be written down.
    """
    calls = batch_calls(component_to_plain(component), task)
    if calls is None:
        raise ComponentError(f"it has no plain form; {', '.join(policies())} have one")
    lines = []
    for call in calls:
        changed = "inputs, targets" if call.mixes else "inputs"
        arguments = ", ".join([changed, *call.arguments])
        lines.append(f"{changed} = {code.require(place_of(call.function))}({arguments})")
    return lines
