"""What of a pipeline may leave a user's machine: numbers, and names that autokd itself gives.

Names of loss instances, paths, digests and whatever else a user wrote are not among them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from autokd import catalog
from autokd.loss_keys import KEYS
from autokd.ranges import Choice
from autokd.recipes import FOR_RARE_CLASSES, RULES, WITH_UNLABELLED
from autokd.spec import FORMAT, TEACHER, Number, beside_slots, fields_in, slots
from autokd.study.arms import PAST, RECIPE
from autokd.study.failures import REMEDIES

TRIALS = ("family", "warm_start", "design", "random", "tpe", "screen", "quasi_random")
"""Sources of trials that are no known recipes, those of earlier versions too."""
STAGES = ("noise", "select", "tune", "choose", "claim", "ablate")
"""Stages of a search that train outside explore."""
OTHER = "other"
_RULES = (*RULES, *WITH_UNLABELLED, *FOR_RARE_CLASSES)
_SOURCES = frozenset([*(f"{RECIPE}{rule.name}" for rule in _RULES), *TRIALS, *STAGES])
_TAUGHT = re.compile(rf"{RECIPE}{PAST}[0-9a-f]{{8}}")


def shared_form(pipeline: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a plain pipeline with autokd's own names alone; None where it says more than these can.

    A part that is a plug-in's or that this version does not have, and a text that is none of a few that the field knows
    (a path, the name of a teacher), cannot be shared, so neither can the pipeline. Instances of losses are called after
    their components. Nor can one be shared that was trained on samples without labels: nobody would know which.

    Args:
      pipeline: plain, as a record has it.
    """
    if not {"format", *slots()}.issuperset(pipeline):
        return None
    found: dict[str, Any] = {"format": FORMAT}
    for name, slot in slots().items():
        if name not in pipeline:
            continue
        value = pipeline[name]
        if isinstance(slot, Number) and slot.of_unlabelled:
            if value:
                return None
            continue
        shared = _number(value) if isinstance(slot, Number) else _part(slot.kind, value, many=slot.many)
        if shared is None:
            return None
        found[name] = shared
    return found


def shared_source(source: str) -> str:
    """Return where a run came from, in autokd's own words; "other" for what it has no word for.

    >>> shared_source("recipe:kd"), shared_source("recipe:past-0a1b2c3d"), shared_source("Ann's idea")
    ('recipe:kd', 'recipe:past-0a1b2c3d', 'other')
    """
    return source if source in _SOURCES or _TAUGHT.fullmatch(source) else OTHER


def shared_failure(kind: str) -> str:
    """Return the kind of a failure, in autokd's own words; "" for none.

    >>> shared_failure("not_finite"), shared_failure("of Ann's"), shared_failure("")
    ('not_finite', 'error', '')
    """
    return kind if kind in ("", *REMEDIES) else "error"


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) else None


def _part(kind: str, value: Any, *, many: bool) -> dict[str, Any] | None:
    if not many:
        return shared_component(kind, value)
    parts = {name: shared_component(kind, part) for name, part in _by_component(value)}
    shared = {name: part for name, part in parts.items() if part is not None}
    return shared if len(shared) == len(parts) else None


def _by_component(instances: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Instances by the name of their component; a further one of the same component with its number."""
    seen: dict[str, int] = {}
    for part in instances.values():
        use = str(part["use"])
        seen[use] = seen.get(use, 0) + 1
        yield use if seen[use] == 1 else f"{use}{seen[use]}", part


def shared_component(kind: str, plain: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a plain component with autokd's own names alone; None where it says more than these can.

    Args:
      kind: of the component.
      plain: it, as a record has it.
    """
    use = plain["use"]
    if use not in catalog.shipped(kind):
        return None
    fields = fields_in(kind, catalog.load(kind, use))
    for name, value in plain.items():
        if name != "use" and not (name in fields and _may_be_shared(kind, name, value, fields[name].range)):
            return None
    return dict(plain)


def _may_be_shared(kind: str, name: str, value: Any, range_: Any) -> bool:
    if value is None or isinstance(value, bool | int | float):
        return True
    if isinstance(value, str) and kind in KEYS and name == "teacher":
        return value in ("", TEACHER, *beside_slots(slots()))
    if isinstance(value, str):
        return isinstance(range_, Choice) and range_.contains(value)
    return isinstance(value, list | tuple) and all(_may_be_shared(kind, name, each, range_) for each in value)
