"""`PipelineSpec`, everything that decides how a student is trained, and what its fields may hold.

The fields of `PipelineSpec` are the only list of slots. Schema, sampling, storage, export and report are derived from
them.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

from autokd.components import (
    AugmentComponent,
    HeadComponent,
    InitComponent,
    LossComponent,
    OptimizerComponent,
    ScheduleComponent,
    SelectionComponent,
    StudentComponent,
)
from autokd.errors import ComponentError, nearest
from autokd.ranges import Choice, Range
from autokd.spec.answers import answer_problems, is_teacher, read_by
from autokd.spec.component import convert, make
from autokd.spec.placed import counting, gap_in, keys_of


class Slot(NamedTuple):
    """What a field of `PipelineSpec` holds that is made of components.

    Args:
      kind: kind of component.
      many: a mapping of instance name to component, instead of one component.
      optional: there may be none: None in a pipeline, and left out of its plain form.
      default: the component, with its own defaults, where a pipeline or a space does not name the slot; "" for none.
      network: it holds the network that is trained, screened and delivered.
      untaught: the component, with its own defaults, in place of one that reads the teacher, where there is to be none;
        "" where a pipeline without such a component is another pipeline.
      on_network: its components are built on that network, so each is tried on it before anything is trained.
      sets_network: its components set that network's weights, so each is tried on it too.
      beside: it holds a network that trains beside that one. Losses read its answers by the slot's name, and where none
        does, it holds nothing.
      of_unlabelled: its components may declare that they are for data with samples without labels.
    """

    kind: str
    many: bool = False
    optional: bool = False
    default: str = ""
    network: bool = False
    untaught: str = ""
    on_network: bool = False
    sets_network: bool = False
    beside: bool = False
    of_unlabelled: bool = False

    @property
    def required(self) -> bool:
        """Whether every plain pipeline names the slot."""
        return not self.optional and not self.default


class Number(NamedTuple):
    """What a field of `PipelineSpec` holds that is a plain number.

    Args:
      range: what a space that does not name the slot searches; None: nothing, it takes the default.
      type: `int` or `float`.
      least, most: the least and the largest value.
      optional: there may be none: None in a pipeline, and left out of its plain form.
      default: the field's own default, which `slots` fills in; where a range is searched, what the search begins with.
      of_unlabelled: it is about samples without labels. Where the data have some, a space that does not name the slot
        searches the range; where they have none, or every loss reads labels, it holds nothing.
    """

    range: Range | None
    type: type[int] | type[float] = int
    least: float = 1
    most: float = math.inf
    optional: bool = False
    default: Any = None
    of_unlabelled: bool = False

    @property
    def required(self) -> bool:
        """Whether every plain pipeline names the slot."""
        return not self.optional

    def read(self, value: Any) -> int | float:
        """Return a plain value as a number of the slot.

        >>> Number(None, float, least=0.0).read("1e-2")
        0.01
        >>> Number(None).read(0)
        Traceback (most recent call last):
        ValueError: expected a whole number of at least 1, got 0

        Raises:
          ValueError: it is no number of the declared type, below the least one, or above the largest.
        """
        try:
            number: int | float | None = convert(value, self.type)
        except ValueError:
            number = None
        if number is None or not self.least <= number <= self.most:
            what = "a whole number" if self.type is int else "a number"
            upper = "" if math.isinf(self.most) else f" and at most {self.most:g}"
            raise ValueError(f"expected {what} of at least {self.least:g}{upper}, got {value!r}")
        return number


@dataclass(frozen=True, kw_only=True)
class PipelineSpec:
    """Everything that decides how a student is trained, apart from data, teacher, seed and length.

    Args:
      student: the student architecture.
      head: what stands in the place of the student's classifier, as part of the student.
      init: what the student's weights are when training begins; None: what its architecture draws at random.
      augment: the augmentation policy.
      peer: a network that trains beside the student, for losses that read its answers; it is never delivered.
      selection: which samples a run goes over; None: all of them, all alike.
      losses: instance name -> loss; their weighted sum is minimised.
      optimizer, schedule: how.
      batch_size: samples a step.
      ema: share of the samples seen over whose last part the scored and exported student's weights are averaged, see
        `autokd.engine.ema`; None or 0: they are the last ones.
      qat: share of training done from which on the student computes as its int8 file will, see `autokd.engine.qat`;
        None or 1: it never does.
      unlabelled: share of a batch that is of samples without labels, see `autokd.engine.unlabelled`; None or 0: none.

    Raises:
      ComponentError: there is a stretch of training in which no loss counts, a loss reads answers that nobody gives, or
        there is a peer whose answers none reads.
    """

    student: Annotated[StudentComponent, Slot("students", network=True)]
    head: Annotated[HeadComponent, Slot("heads", default="plain", of_unlabelled=True)] = dataclasses.field(
        default_factory=lambda: make("heads", "plain", {})
    )
    init: Annotated[InitComponent | None, Slot("inits", optional=True, sets_network=True)] = None
    peer: Annotated[StudentComponent | None, Slot("students", optional=True, beside=True)] = None
    augment: Annotated[AugmentComponent, Slot("augments")]
    selection: Annotated[SelectionComponent | None, Slot("selections", optional=True, untaught="all")] = None
    losses: Annotated[Mapping[str, LossComponent], Slot("losses", many=True, on_network=True)]
    optimizer: Annotated[OptimizerComponent, Slot("optimizers")]
    schedule: Annotated[ScheduleComponent, Slot("schedules")]
    batch_size: Annotated[int, Number(Choice(32, 64, 128))] = 64
    ema: Annotated[float | None, Number(None, float, least=0, most=1, optional=True)] = None
    qat: Annotated[float | None, Number(None, float, least=0, most=1, optional=True)] = None
    unlabelled: Annotated[
        float | None,
        Number(Choice(0.0, 0.25, 0.5, 0.75), float, least=0, most=0.9, optional=True, of_unlabelled=True),
    ] = None

    def __post_init__(self) -> None:
        if found := gap_in(counting(self.losses.values())):
            raise ComponentError(f"losses: {found}")
        beside = {name: getattr(self, name) is not None for name in beside_slots(slots(type(self)))}
        named = {name: (loss.declares, keys_of(loss).teacher) for name, loss in self.losses.items()}
        for problem in answer_problems(named, beside):
            raise ComponentError(problem)

    @property
    def needs_teacher(self) -> bool:
        """Whether any loss, or the selection, reads the teacher."""
        selects = self.selection is not None and self.selection.declares.teacher != "none"
        return selects or any(is_teacher(read_by(loss)) for loss in self.losses.values())

    @property
    def copies_teacher(self) -> bool:
        """Whether a network that trains is made of the teacher's, so that it has to be there, whoever reads it."""
        return any(network is not None and bool(network.declares.copies) for network in (self.student, self.peer))


Slots = Mapping[str, Slot | Number]
"""The slots of a pipeline, by field name."""


def slots(pipeline: type[PipelineSpec] = PipelineSpec) -> dict[str, Slot | Number]:
    """Return the slots of a pipeline, by field name.

    >>> " ".join(slots())
    'student head init peer augment selection losses optimizer schedule batch_size ema qat unlabelled'
    """
    return dict(_slots(pipeline))  # type: ignore[arg-type]  # a class is hashable


@functools.cache
def _slots(pipeline: type[PipelineSpec]) -> Slots:
    hints = typing.get_type_hints(pipeline, include_extras=True)
    return {field.name: _slot(field, hints[field.name]) for field in dataclasses.fields(pipeline)}


def _slot(field: dataclasses.Field[Any], hint: Any) -> Slot | Number:
    declared: Slot | Number = hint.__metadata__[0]
    return declared._replace(default=field.default) if isinstance(declared, Number) else declared


def network_slot(table: Slots) -> str:
    """Return the name of the slot whose network is trained, screened and delivered.

    >>> network_slot(slots())
    'student'
    """
    return next(name for name, slot in table.items() if isinstance(slot, Slot) and slot.network)


def beside_slots(table: Slots) -> list[str]:
    """Return the names of the slots whose networks train beside that one.

    >>> beside_slots(slots())
    ['peer']
    """
    return [name for name, slot in table.items() if isinstance(slot, Slot) and slot.beside]


def unlabelled_slots(table: Slots) -> list[str]:
    """Return the names of the slots that are about samples without labels.

    >>> unlabelled_slots(slots())
    ['unlabelled']
    """
    return [name for name, slot in table.items() if isinstance(slot, Number) and slot.of_unlabelled]


def components(spec: PipelineSpec) -> Iterator[tuple[str, Any]]:
    """Yield (path, component) for every component of a pipeline: ("student", …), ("losses.kd", …), …"""
    for name, slot in slots(type(spec)).items():
        value = getattr(spec, name)
        if isinstance(slot, Number) or value is None:
            continue
        if slot.many:
            yield from ((f"{name}.{key}", component) for key, component in value.items())
        else:
            yield name, value


def component_at(spec: PipelineSpec, path: str) -> Any:
    """Return the component of a pipeline at a path, as `components` gives it: "student", "losses.kd".

    Raises:
      ComponentError: there is none; names the nearest path.
    """
    there = dict(components(spec))
    if path not in there:
        raise ComponentError(f"the pipeline has no component at {path!r}; {nearest(path, there)}")
    return there[path]
