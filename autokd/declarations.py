"""What a component declares of itself: `declares = Loss(teacher="stored", …)`, one frozen class a kind.

Only what differs from the default is written. A misspelt name is a TypeError, a wrong value a ComponentError that says
what was seen and what would work. See `autokd.components` for what a component is to those who use it.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, final

from autokd.errors import ComponentError, nearest
from autokd.ranges import Integer, Real
from autokd.types import ANY, Modality

Part = Literal["features", "pooled", "tokens", "attention"]
"""A part of a network's output, beside its logits; see `autokd.types.Output`."""


@final
@dataclass(frozen=True)
class Scale:
    """What a weight of 1 stands for.

    Args:
      value: factor on the loss, above 0.
      source: where the factor is from: the paper's own weight, or why this one.
    """

    value: float
    source: str

    def __post_init__(self) -> None:
        if type(self.value) not in (int, float) or not 0 < self.value < math.inf:
            raise ComponentError(f"Scale({self.value!r}, …): expected a number above 0")
        if not isinstance(self.source, str) or not self.source.strip():
            raise ComponentError(f"Scale({self.value!r}, {self.source!r}): say in words where the number is from")
        object.__setattr__(self, "value", float(self.value))


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What components of every kind declare; abstract.

    Args:
      name: of a component outside the package; "" for one whose file names it.
    """

    kind: ClassVar[str]

    name: str = ""

    def __post_init__(self) -> None:
        for field, hint in _hints(type(self)).items():  # type: ignore[arg-type]  # a class is hashable
            value = getattr(self, field)
            try:
                object.__setattr__(self, field, _checked(value, hint))
            except ValueError as error:
                raise ComponentError(f"{type(self).__name__}({field}={value!r}): {error}") from error


@dataclass(frozen=True, kw_only=True)
class InPipeline(Declaration):
    """What components declare that stand in a pipeline; abstract.

    Args:
      excludes, requires: what it must not, or must, stand beside, with its slot ("augment.mixup", "losses.kd",
        "head.simkd"); a bare name is of its own slot.
    """

    excludes: AbstractSet[str] = frozenset()
    requires: AbstractSet[str] = frozenset()


@final
@dataclass(frozen=True, kw_only=True)
class Dataset(Declaration):
    """What a dataset declares.

    Args:
      modality: the kind of its inputs.
      default_space: name of the search space for such data.
    """

    kind: ClassVar[str] = "datasets"

    modality: Modality
    default_space: str


@final
@dataclass(frozen=True, kw_only=True)
class Teacher(Declaration):
    """What a way to load a teacher declares: kinds of input that its networks take."""

    kind: ClassVar[str] = "teachers"

    modalities: AbstractSet[Modality]


@final
@dataclass(frozen=True, kw_only=True)
class Student(InPipeline):
    """What a student architecture declares.

    Args:
      modalities: kinds of input that it takes.
      offers: parts of its output that losses may read.
    """

    kind: ClassVar[str] = "students"

    modalities: AbstractSet[Modality]
    offers: AbstractSet[Part] = frozenset({"features", "pooled"})


@final
@dataclass(frozen=True, kw_only=True)
class Head(InPipeline):
    """What a head declares.

    Args:
      modalities: kinds of input that the students take on which it may sit.
      teacher: "live" where it is built on what the teacher offers.
      reads: what the teacher must offer for it; "head" is its classifier.
      student_reads: parts of the student's output that it reads.
    """

    kind: ClassVar[str] = "heads"

    modalities: AbstractSet[Modality] = ANY
    teacher: Literal["none", "live"] = "none"
    reads: AbstractSet[Literal[Part, "head"]] = frozenset()
    student_reads: AbstractSet[Part] = frozenset()


@final
@dataclass(frozen=True, kw_only=True)
class Augment(InPipeline):
    """What an augmentation policy declares: kinds of input that it changes sensibly."""

    kind: ClassVar[str] = "augments"

    modalities: AbstractSet[Modality]


@final
@dataclass(frozen=True, kw_only=True)
class Loss(InPipeline):
    """What a loss declares.

    Args:
      modalities: kinds of input that it is defined for.
      teacher: "none" where it reads no teacher; "stored" where the teacher's answers may be computed once and kept;
        "live" where they are too large for it.
      reads: parts of the teacher's output that it reads, beside the logits.
      student_reads: parts of the student's output that it reads, beside the logits.
      scale: what a weight of 1 stands for.
      batch_statistic: it gives one number a batch, instead of one a sample.
      min_classes: fewest classes that it is defined for.
      cost: time of a training step with it over that with cross-entropy alone; `python -m benchmarks.losses --cost`
        measures it.
      prepared_from: the fields that its method `prepare` reads; None where it prepares nothing.
      tunes: the fields that the final comparison scales, the same for all arms.
    """

    kind: ClassVar[str] = "losses"

    modalities: AbstractSet[Modality] = ANY
    teacher: Literal["none", "stored", "live"]
    reads: AbstractSet[Part] = frozenset()
    student_reads: AbstractSet[Part] = frozenset()
    scale: Scale
    batch_statistic: bool = False
    min_classes: Annotated[int, Integer(2, 1_000_000)] = 2
    cost: Annotated[float, Real(1.0, 1000.0)] = 1.0
    prepared_from: tuple[str, ...] | None = None
    tunes: tuple[str, ...] = ("weight",)


@final
@dataclass(frozen=True, kw_only=True)
class Optimizer(InPipeline):
    """What an optimizer declares.

    Args:
      modalities: kinds of input that it is for.
      tunes: the fields that the final comparison scales, the same for all arms; () where it has no learning rate.
    """

    kind: ClassVar[str] = "optimizers"

    modalities: AbstractSet[Modality] = ANY
    tunes: tuple[str, ...] = ("learning_rate",)


@final
@dataclass(frozen=True, kw_only=True)
class Schedule(InPipeline):
    """What a learning rate schedule declares: kinds of input that it is for."""

    kind: ClassVar[str] = "schedules"

    modalities: AbstractSet[Modality] = ANY


@final
@dataclass(frozen=True, kw_only=True)
class Proxy(Declaration):
    """What a training-free proxy declares.

    Args:
      modalities: kinds of input that its students take.
      needs_teacher: it compares the student with the teacher.
      higher_is_better: which students it prefers.
      unit: of its score; "" for none.
    """

    kind: ClassVar[str] = "proxies"

    modalities: AbstractSet[Modality] = ANY
    needs_teacher: bool = False
    higher_is_better: bool
    unit: str = ""


KINDS: dict[str, type[Declaration]] = {
    declaration.kind: declaration
    for declaration in (Dataset, Teacher, Student, Head, Augment, Loss, Optimizer, Schedule, Proxy)
}
"""What components of each kind declare, by kind."""


@functools.cache
def _hints(cls: type[Declaration]) -> dict[str, Any]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _checked(value: Any, hint: Any) -> Any:
    """Return a declared value as it is kept: sets frozen, whole numbers as the real ones that they stand for.

    Raises:
      ValueError: it is not of the type; says what would work.
    """
    arguments = typing.get_args(hint)
    if type(None) in arguments:
        return None if value is None else _checked(value, arguments[0])
    check = _CHECKS.get(typing.get_origin(hint))
    return _plain(value, hint) if check is None else check(value, *arguments)


def _plain(value: Any, cls: type[Any]) -> Any:
    value = float(value) if cls is float and type(value) is int else value
    if type(value) is not cls:
        raise ValueError(f"expected {_WORDS[cls]}")
    return value


def _one_of(value: Any, *options: Any) -> Any:
    if value not in options:
        raise ValueError(f"there is no {value!r}; {nearest(value, options)}")
    return value


def _inside(value: Any, hint: Any, span: Integer | Real) -> Any:
    if not span.contains(_checked(value, hint)):
        raise ValueError(f"expected {span}")
    return _checked(value, hint)


def _set_of(value: Any, hint: Any) -> Any:
    if not isinstance(value, AbstractSet):
        raise ValueError("expected a set of texts")
    return frozenset(_checked(item, hint) for item in value)


def _tuple_of(value: Any, hint: Any, _: Any) -> Any:
    if not isinstance(value, tuple):
        raise ValueError("expected a tuple of texts")
    return tuple(_checked(item, hint) for item in value)


_WORDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text", Scale: "Scale(value, source)"}
_CHECKS: dict[Any, Any] = {Literal: _one_of, Annotated: _inside, AbstractSet: _set_of, tuple: _tuple_of}
