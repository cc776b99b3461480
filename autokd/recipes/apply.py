"""Recipes as pipelines of a resolved space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from autokd import catalog
from autokd.input_kind import takes
from autokd.networks.cost import student_params
from autokd.ranges import Choice, Scalar
from autokd.recipes.rules import NONE, PARTS_FOR_RARE_CLASSES, Rule, rules_for
from autokd.recipes.students import PLAIN, Fits, Room, beside_head, choose_family, largest_of_families
from autokd.space import Candidate, Drawn, Space, begins_with_weights, of_start, with_weights_first
from autokd.space.values import nearest_value
from autokd.spec import component_from_plain, component_to_plain, fingerprint, key_defaults, make, network_slot
from autokd.types import Shapes, Task

Plain = dict[str, Any]
NEAREST = "the nearest in this space"
FINE_TUNING = 3.0
"""Weights that were learned elsewhere want so much lower a learning rate than random ones. For long trainings it is a
tenth (Li et al., Rethinking the Hyperparameters for Fine-tuning, ICLR 2020, arXiv 2002.11770, section 3); over the few
epochs of a search a tenth was too little, and 0.02 to 0.1 came out alike (docs/benchmarks.md, pretrained weights)."""
LEAST_SHARE = 0.5
"""Beside a head, a student is to keep this share of the parameters that it has without one."""


class Recipe(NamedTuple):
    """A rule with the pipeline that it is on a space.

    Args:
      rule: the rule.
      drawn: the pipeline; its parameters are None where it lies outside the space.
    """

    rule: Rule
    drawn: Drawn


class Portfolio(NamedTuple):
    """The recipes for a space, in the order in which they are tried.

    Args:
      recipes: `kd` and `alone` are always among them (without a teacher only `alone`).
      dropped: one line for each rule that dropped out or became another one's, and for each value that was moved.
    """

    recipes: tuple[Recipe, ...]
    dropped: tuple[str, ...]


@dataclass
class Notes:
    """What was changed or is in the way as a rule becomes a pipeline.

    Args:
      moved: values that were moved into their ranges.
      problems: why the pipeline lies outside the space.
    """

    moved: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def tries_rare_classes(space: Space) -> bool:
    """Whether a space has all the parts for rare classes."""
    offered = {candidate.full_name for part in space.parts.values() for candidate in part.candidates}
    return offered.issuperset(PARTS_FOR_RARE_CLASSES)


def portfolio(
    space: Space,
    task: Task,
    offers: Shapes | None,
    *,
    student: Mapping[str, Any] | None = None,
    fast: Fits | None = None,
    rules: Sequence[Rule] | None = None,
) -> Portfolio:
    """Return the recipes for a resolved space; no rule is dropped or changed without a line.

    Args:
      space: resolved; its `constraints` are the limits.
      task, offers: the data, and what the teacher offers; None without a teacher.
      student: plain; None: the largest of the first family of the space that stays inside the limits.
      fast: see `autokd.recipes.students.Room`.
      rules: in the order in which they are tried; None: those for the task.
    """
    chosen = student or choose_family(largest_of_families(space, task, offers, fast=fast))
    room = Room(space=space, task=task, offers=offers, fast=fast)
    rules = rules_for(task, rare_classes=tries_rare_classes(space)) if rules is None else rules
    usable = [rule for rule in rules if offers is not None or not rule.reads_teacher]
    lines = [f"recipe {rule.name}: it reads a teacher, and there is none" for rule in rules if rule not in usable]
    recipes: dict[str, Recipe] = {}
    moved: dict[str, list[str]] = {}
    for rule in usable:
        plain, notes = _applied(rule, dict(chosen) if chosen else None, room)
        if notes.problems:
            word = "tried outside the space, " if rule.always else ""
            lines.append(f"recipe {rule.name}: {word}{'; '.join(notes.problems)}")
        if notes.problems and not rule.always:
            continue
        recipe = Recipe(rule, Drawn(plain, None if notes.problems else space.params_of(plain)))
        first = recipes.setdefault(fingerprint(plain), recipe)
        if first is not recipe:
            lines.append(f"recipe {rule.name}: the same as {first.rule.name} here")
            continue
        for line in notes.moved:
            moved.setdefault(line, []).append(rule.name)
    lines += [f"recipe {', '.join(names)}: {line}" for line, names in moved.items()]
    return Portfolio(tuple(recipes.values()), tuple(lines))


def _applied(rule: Rule, chosen: Plain | None, room: Room) -> tuple[Plain, Notes]:
    """A rule as a plain pipeline; what the space has no place for is as the component's class has it."""
    notes, network = Notes(), network_slot(room.space.slots)
    student, head = _network(rule, chosen, room, notes)
    start = {network: student, **with_weights_first(room.space)}
    weights = begins_with_weights(room.space, room.space.complete(start))
    space = of_start(room.space, weights)
    losses = _losses(rule, space, notes)
    stated = {
        **start,
        "head": head,
        "augment": _augment(rule, space, room.task, notes),
        "optimizer": _component("optimizer", _gentle(rule.optimizer, weights), space, notes),
        "losses": losses,
        **_training(rule, space, notes),
    }
    plain = {**space.complete(stated), "losses": losses}
    notes.problems += [] if notes.problems else space.misfits(plain)
    return plain, notes


def _gentle(optimizer: Mapping[str, Any], weights: bool) -> Mapping[str, Any]:
    """The rule's optimizer, at a lower rate where the student begins with weights."""
    if not weights:
        return optimizer
    return {**optimizer, "learning_rate": optimizer["learning_rate"] / FINE_TUNING}


def _augment(rule: Rule, space: Space, task: Task, notes: Notes) -> Plain:
    """The rule's augmentation, "none" where it is not for this input, the space's default where the space lacks it."""
    part = space.parts["augment"]
    exists = takes(catalog.load("augments", rule.augment["use"]).declares.modalities, task.modality)
    wanted = rule.augment if exists else NONE
    candidate = _candidate("augment", wanted["use"], space)
    if candidate is None:
        notes.moved.append(f"augment {wanted['use']} is not in this space; {part.candidates[0].use} in its place")
        return part.candidates[0].default()
    return _filled(candidate, wanted, notes)


def _training(rule: Rule, space: Space, notes: Notes) -> Plain:
    """What the rule states of how long steps are, how the rate falls, and of samples without labels."""
    found: Plain = {}
    pool = space.ranges().get("unlabelled")
    if rule.unlabelled is not None and pool is not None:
        found["unlabelled"] = nearest_value(pool, rule.unlabelled)
        if found["unlabelled"] != rule.unlabelled:
            notes.moved.append(f"unlabelled is {found['unlabelled']} in place of {rule.unlabelled}, {NEAREST}")
    if rule.schedule is not None:
        found["schedule"] = _component("schedule", rule.schedule, space, notes)
    span = space.ranges().get("batch_size")
    if rule.batch_size is not None and span is not None:
        found["batch_size"] = nearest_value(span, rule.batch_size)
        if found["batch_size"] != rule.batch_size:
            notes.moved.append(f"batch_size is {found['batch_size']} in place of {rule.batch_size}, {NEAREST}")
    return found


def _losses(rule: Rule, space: Space, notes: Notes) -> Plain:
    """The rule's losses by their names in the space, in its order."""
    candidates = {candidate.use: candidate for candidate in reversed(space.parts["losses"].candidates)}
    missing = [use for use in rule.losses if use not in candidates]
    notes.problems += [_absence("losses", use, space) for use in missing]
    there = sorted(
        (candidates[use] for use in rule.losses if use in candidates), key=space.parts["losses"].candidates.index
    )
    found = {candidate.name: _filled(candidate, rule.losses[candidate.use], notes) for candidate in there}
    return {**found, **{use: component_to_plain(make("losses", use, rule.losses[use])) for use in missing}}


def _component(slot: str, stated: Mapping[str, Any], space: Space, notes: Notes) -> Plain:
    """A plain component of a slot that holds one."""
    candidate = _candidate(slot, stated["use"], space)
    if candidate is not None:
        return _filled(candidate, stated, notes)
    notes.problems.append(_absence(slot, stated["use"], space))
    kind = space.parts[slot].candidates[0].kind
    return component_to_plain(make(kind, stated["use"], {key: value for key, value in stated.items() if key != "use"}))


def _candidate(slot: str, use: str, space: Space) -> Candidate | None:
    return next((candidate for candidate in space.parts[slot].candidates if candidate.use == use), None)


def _absence(slot: str, use: str, space: Space) -> str:
    """Why a space does not offer a component: what resolving said of it, where it left it out."""
    left_out = (line.partition(": ") for line in space.dropped if line.startswith(f"{slot}."))
    reasons = (reason for path, _, reason in left_out if path.rpartition(".")[2] == use)
    return next(reasons, f"{slot}.{use} is not in this space")


def _filled(candidate: Candidate, stated: Mapping[str, Any], notes: Notes) -> Plain:
    """A candidate's defaults with the values that a rule states, those outside its ranges moved inside.

    Where a rule does not say when a loss counts, it counts all along, as published.
    """
    keys = key_defaults(candidate.kind)
    plain = {key: value for key, value in candidate.default().items() if key not in keys}
    for key, value in stated.items():
        plain[key] = value if key == "use" else _moved(candidate, key, value, notes)
    return plain


def _moved(candidate: Candidate, key: str, value: Any, notes: Notes) -> Any:
    """The nearest value that the space allows; what is no number has none that is near."""
    span = candidate.ranges.get(key)
    inside = span.contains(value) if span is not None else candidate.fixed.get(key) == value
    if inside:
        return value
    nearest: Scalar | None = candidate.fixed.get(key) if span is None else nearest_value(span, value)
    path = f"{candidate.slot}.{candidate.name}.{key}"
    if isinstance(value, (int, float)) and not isinstance(value, bool) and isinstance(nearest, (int, float)):
        notes.moved.append(f"{path} is {nearest:g} in place of {value:g}, {NEAREST}")
        return nearest
    notes.problems.append(f"{path}: this space has no {value!r}")
    return value


def _network(rule: Rule, student: Plain | None, room: Room, notes: Notes) -> tuple[Plain, Plain]:
    """Student and head: beside a head of its own, the same student, narrower where the limits ask for it."""
    head = _component("head", rule.head, room.space, notes)
    if student is None:
        notes.problems.append("no student of the space is inside the limits")
        return dict(room.space.default().plain[network_slot(room.space.slots)]), head
    if rule.head == PLAIN or notes.problems:
        return student, head
    enough = LEAST_SHARE * _params(student, room.task)
    fitting: list[tuple[int, Plain, Plain]] = []
    for setting in _settings(head, room.space):
        narrower = beside_head(student, setting, room)
        if narrower is not None:
            fitting.append((_params(narrower, room.task), narrower, setting))
        if fitting and fitting[-1][0] >= enough:
            return fitting[-1][1:]
    if not fitting:
        notes.problems.append(f"no {student['use']} with the head {head['use']} is inside the limits")
        return student, head
    return max(fitting, key=lambda found: found[0])[1:]


def _settings(head: Plain, space: Space) -> Iterator[Plain]:
    """A head as it is, then with each other option of a field that has options."""
    yield head
    candidate = _candidate("head", head["use"], space)
    for key, span in ({} if candidate is None else candidate.ranges).items():
        if isinstance(span, Choice):
            yield from ({**head, key: option} for option in span.options if option != head[key])


def _params(student: Plain, task: Task) -> int:
    return student_params(component_from_plain("students", student), task)
