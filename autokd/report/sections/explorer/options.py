"""By what the trials can be filtered: the components of each slot in which they differ, and how long they trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from autokd.report import words
from autokd.report.sections.explorer.facts import Shown
from autokd.spec import Slot, slots


class Filter(NamedTuple):
    """A menu that leaves some trials.

    Args:
      slot: of the pipeline.
      title: what the menu is called.
      options: names of components, in order of the alphabet.
    """

    slot: str
    title: str
    options: list[str]


def filters(shown: Sequence[Shown]) -> list[Filter]:
    """Return a menu for each slot in which trials hold different components."""
    return [
        Filter(slot, title(slot), options)
        for slot in _component_slots()
        if len(options := sorted({name for s in shown for name in held(s.trial.pipeline, slot)})) > 1
    ]


def slots_shown(shown: Sequence[Shown]) -> list[str]:
    """Return the slots that have a column: the student's and the losses', and those in which trials differ."""
    differing = {menu.slot for menu in filters(shown)}
    always = {name for name, slot in _component_slots().items() if slot.many or slot.network}
    return [slot for slot in _component_slots() if slot in differing | always]


def held(pipeline: Mapping[str, Any], slot: str) -> list[str]:
    """Return the names of the components that a plain pipeline has in a slot."""
    item = pipeline.get(slot)
    if not isinstance(item, Mapping):
        return []
    return [str(item["use"])] if "use" in item else list(item)


def cell(pipeline: Mapping[str, Any], slot: str) -> str:
    """Return what stands in a slot's column: the names; of the network the fields too."""
    item = pipeline.get(slot)
    if isinstance(item, Mapping) and _component_slots()[slot].network:
        return words.component(item)
    return " + ".join(held(pipeline, slot)) or "none"


def title(slot: str) -> str:
    """Return what a slot is called at the head of its column; of several things one: "losses" -> "loss"."""
    several = _component_slots()[slot].many
    return slot.replace("_", " ").removesuffix("es" if several else "") if several else slot.replace("_", " ")


def _component_slots() -> dict[str, Slot]:
    found: Iterable[tuple[str, Any]] = slots().items()
    return {name: slot for name, slot in found if isinstance(slot, Slot)}
