"""Which components can be built on which networks: both are built on shapes only, so that no trial meets a refusal."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, get_args

from autokd import spec
from autokd.declarations import NO_NAME, Part
from autokd.errors import ComponentError, UserError
from autokd.networks.cost import shapes_alone
from autokd.networks.counting import counting
from autokd.networks.models import seeded, shapes_of
from autokd.ranges import Choice
from autokd.space.candidate import Candidate
from autokd.space.values import edges
from autokd.types import BuildContext, Shapes, Task


def refusal(candidate: Candidate, network: Candidate, task: Task, teacher: Shapes | None) -> str | None:
    """Say why a component cannot be built on a network and a teacher, or None where it can.

    The network is tried at its defaults and at both ends of its ranges, the component at its defaults and at each of
    its named options. A component that needs an artefact, or one of another slot beside it, is not tried.
    """
    if candidate.traits.prepared_from is not None or candidate.traits.requires:
        return None
    contexts = [BuildContext(task=task, student=shapes, teacher=teacher) for shapes in offers_of(network, task)]
    for values in _settings(candidate):
        component = spec.component_from_plain(candidate.kind, values)
        for context in contexts:
            if error := _error(component, context):
                return error
    return None


def uncopied(candidate: Candidate, network: str, task: Task) -> str | None:
    """Say why a student cannot be made of the teacher's network, or None where it can.

    Args:
      candidate: of the student, at whose defaults it is tried.
      network: name of the teacher's network; "": nobody can make it again.
      task: the data.
    """
    if not network:
        return f"{candidate.use} is made of the teacher's network: {NO_NAME}"
    try:
        with shapes_alone():
            shapes_of(_made_of(candidate, network).build(BuildContext(task=task)), task)
    except UserError as error:
        return str(error)
    return None


def offered_parts(candidate: Candidate, network: str, task: Task) -> frozenset[str]:
    """Return which parts of its output a student offers that is made of the teacher's network."""
    shapes = _shapes(_made_of(candidate, network), task)
    return frozenset(part for part in get_args(Part) if shapes is not None and getattr(shapes, part))


def _made_of(candidate: Candidate, network: str) -> Any:
    plain = candidate.made_of(network, frozenset()).default()
    return spec.component_from_plain(candidate.kind, plain)


def unset(candidate: Candidate, network: Candidate, task: Task) -> str | None:
    """Say why a component cannot set a network's weights, or None where it can.

    The network is tried at its defaults and at both ends of its ranges, and so is the component.
    """
    for values in _settings(candidate):
        start = spec.component_from_plain(candidate.kind, values)
        for student in _forms(network):
            if error := _start_error(start, student, BuildContext(task=task)):
                return error
    return None


@functools.lru_cache(maxsize=256)  # a space is resolved several times
def _start_error(start: Any, student: Any, context: BuildContext) -> str | None:
    try:
        with seeded(0):
            start.build(context)(student.build(context))
    except ComponentError as error:
        return str(error)
    except RuntimeError:  # the network cannot be built for this task
        return None
    return None


@functools.lru_cache(maxsize=4096)
def _error(component: Any, context: BuildContext) -> str | None:
    """What a component refuses to be built with; None too where it asks for values that shapes do not have."""
    try:
        with shapes_alone():
            component.build(context)
    except ComponentError as error:
        return str(error)
    except RuntimeError:
        return None
    return None


def unbuilt(network: Candidate, task: Task) -> str | None:
    """Say why a network cannot be built for a task at its defaults, or None where it can."""
    return _error(spec.component_from_plain(network.kind, network.default()), BuildContext(task=task))


def offers_of(network: Candidate, task: Task) -> list[Shapes]:
    """Return what a network offers at its defaults and at both ends of its ranges, without repetitions."""
    offers = (_shapes(component, task) for component in _forms(network))
    return list(dict.fromkeys(shapes for shapes in offers if shapes is not None))


def _forms(network: Candidate) -> Iterator[Any]:
    """A network at its defaults and at both ends of its ranges."""
    base = network.default()
    ends = ({field: edges(span)[end] for field, span in network.ranges.items()} for end in (0, -1))
    return (spec.component_from_plain(network.kind, {**base, **values}) for values in ({}, *ends))


@functools.lru_cache(maxsize=256)
def _shapes(component: Any, task: Task) -> Shapes | None:
    """What a network offers; None where it cannot be built for the task."""
    try:
        with shapes_alone(), counting():  # faster, though nobody reads the count
            return shapes_of(component.build(BuildContext(task=task)), task)
    except (ComponentError, RuntimeError):
        return None


def _settings(candidate: Candidate) -> Iterator[dict[str, Any]]:
    """The defaults of a component, and one change to each named option (words, on or off)."""
    base = candidate.default()
    yield base
    for field, span in candidate.ranges.items():
        options = span.options if isinstance(span, Choice) else ()
        yield from ({**base, field: option} for option in options if isinstance(option, (str, bool)))
