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

from autokd.checks import checked
from autokd.errors import ComponentError
from autokd.ranges import Integer, Real
from autokd.types import ANY

NO_VIEWS = "changes the samples, and the teacher answers about them as they are"
"""Why an augmentation cannot stand beside a teacher that answers about no views."""
NO_MEMBERS = "reads each member of an ensemble of teachers, and the teacher is one"
"""Why a loss that reads the members of an ensemble cannot read a single teacher."""
NO_NAME = "it is no single network of autokd, timm or torchvision, which is made again by its name"
"""Why a student cannot be made of the teacher's network."""
Part = Literal["features", "pooled", "tokens", "attention"]  # of a network's output, beside its logits


@final
@dataclass(frozen=True)
class Scale:
    """What a weight of 1 stands for.

    Args:
      value: factor on the loss, above 0.
      source: where it is from: the paper's own weight, or why this one.
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
                object.__setattr__(self, field, checked(value, hint))
            except ValueError as error:
                raise ComponentError(f"{type(self).__name__}({field}={value!r}): {error}") from error

    @property
    def reads_of(self) -> str:
        """Whose answers it reads where the pipeline names nobody: "" for nobody's."""
        return ""

    @property
    def changes(self) -> bool:
        """Whether networks see other samples than those of the dataset where it stands in a pipeline."""
        return False


@dataclass(frozen=True, kw_only=True)
class InPipeline(Declaration):
    """What components declare that stand in a pipeline; abstract.

    Args:
      excludes, requires: what it must not, or must, stand beside, with its slot ("augment.mixup", "losses.kd",
        "head.simkd"); a bare name is of its own slot.
      prepared_from: the fields that its method `prepare` reads; None where it prepares nothing. Not for heads and
        starts of the weights, which are built where nothing is prepared.
    """

    prepares: ClassVar[bool] = True

    excludes: AbstractSet[str] = frozenset()
    requires: AbstractSet[str] = frozenset()
    prepared_from: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prepared_from is not None and not self.prepares:
            raise ComponentError(
                f"{type(self).__name__}(prepared_from={self.prepared_from!r}): {self.kind} are built where nothing is "
                "prepared, in a finished student too; leave it out"
            )


@final
@dataclass(frozen=True, kw_only=True)
class Modality(Declaration):
    """What a kind of input declares.

    Args:
      noun: what data of it are called: "image".
      default_space: name of the search space for such data.
      grows: more training samples change nothing in the form of a sample.
    """

    kind: ClassVar[str] = "modalities"

    noun: str
    default_space: str
    grows: bool = False


@final
@dataclass(frozen=True, kw_only=True)
class Dataset(Declaration):
    """What a dataset declares.

    Args:
      modality: the kind of its inputs.
      default_space: name of the search space for such data; "" for that of the kind of input.
    """

    kind: ClassVar[str] = "datasets"

    modality: str
    default_space: str = ""


@final
@dataclass(frozen=True, kw_only=True)
class Teacher(Declaration):
    """What a way to load a teacher declares: kinds of input that its networks may take."""

    kind: ClassVar[str] = "teachers"

    modalities: AbstractSet[str]


@final
@dataclass(frozen=True, kw_only=True)
class Student(InPipeline):
    """What a student architecture declares.

    Args:
      modalities: kinds of input that it takes.
      offers: parts of its output that losses may read; of one made of the teacher, what that network offers counts.
      copies: the field that holds the name of the teacher's network, where it is made of that; a space fills it in.
        It prepares the weights that it begins with; without them `build` makes the form alone.
      blind: a property, true of networks that do not see their input: they can be built, but no search draws them.
      family: it stands for many, as "timm:resnet18"; its class method `named` makes "resnet18" the component.
    """

    kind: ClassVar[str] = "students"

    modalities: AbstractSet[str]
    offers: AbstractSet[Part] = frozenset({"features", "pooled"})
    family: bool = False
    copies: str = ""
    blind: str = ""

    @property
    def reads_of(self) -> str:
        """Whose network it is made of: "teacher", or nobody's."""
        return "teacher" if self.copies else ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.modalities or self.modalities & ANY:
            raise ComponentError("Student(modalities=…): list the kinds of input that the network takes, as {'table'}")


@final
@dataclass(frozen=True, kw_only=True)
class Head(InPipeline):
    """What a head declares.

    Args:
      modalities: kinds of input that the students take on which it may sit.
      teacher, reads: "live" where it is built on what the teacher offers, and what that is; "head": its classifier.
      student_reads: parts of the student's output that it reads.
      for_unlabelled: for data with samples without labels, it is in every space that leaves a choice of heads.
    """

    kind: ClassVar[str] = "heads"
    prepares: ClassVar[bool] = False

    modalities: AbstractSet[str] = ANY
    teacher: Literal["none", "live"] = "none"
    reads: AbstractSet[Literal[Part, "head"]] = frozenset()
    student_reads: AbstractSet[Part] = frozenset()
    for_unlabelled: bool = False

    @property
    def reads_of(self) -> str:
        """Whose offers it is built on: "teacher", or nobody's."""
        return "" if self.teacher == "none" else "teacher"


@final
@dataclass(frozen=True, kw_only=True)
class Init(InPipeline):
    """What a start of the student's weights declares.

    Args:
      modalities: kinds of input that the students take.
      file: the field that holds the path of a file; "" where it reads none.
      digest: the field that holds the digest of that file; it is filled in as a space or a pipeline file is read.
    """

    kind: ClassVar[str] = "inits"
    prepares: ClassVar[bool] = False

    modalities: AbstractSet[str] = ANY
    file: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.file) != bool(self.digest):
            raise ComponentError(
                "Init(file=…, digest=…): what reads a file has a field for its path and one for its digest"
            )


@final
@dataclass(frozen=True, kw_only=True)
class Augment(InPipeline):
    """What an augmentation policy declares.

    Args:
      modalities: kinds of input that it changes sensibly; ANY where it changes nothing.
      any_size: its `apply` takes samples of another size than the task's too, and changes them alike: what it draws is
        a share of the side, or is scaled. A teacher that looks at finer pictures then sees the same view.
    """

    kind: ClassVar[str] = "augments"

    modalities: AbstractSet[str]
    any_size: bool = False

    @property
    def changes(self) -> bool:
        """Whether networks see other samples than those of the dataset: not where it takes every kind of input."""
        return self.modalities != ANY


@final
@dataclass(frozen=True, kw_only=True)
class Selection(InPipeline):
    """What a selection of training samples declares.

    Args:
      modalities: kinds of input that it is for.
      teacher: "stored" where it, or what it prepares, reads the teacher's answers; "none" where it needs no teacher.
    """

    kind: ClassVar[str] = "selections"

    modalities: AbstractSet[str] = ANY
    teacher: Literal["none", "stored"] = "none"


@final
@dataclass(frozen=True, kw_only=True)
class Loss(InPipeline):
    """What a loss declares.

    Args:
      modalities: kinds of input that it is defined for.
      teacher: "none" where it reads nobody's answers; "stored" where the teacher's may be computed once and kept;
        "live" where they are too large for it; "peer" where it reads those of the network that trains beside the
        student, unless the pipeline names another.
      reads: parts of that output that it reads, beside the logits.
      student_reads: parts of the student's output that it reads, beside the logits.
      scale: what a weight of 1 stands for.
      batch_statistic: it gives one number a batch, instead of one a sample.
      min_classes: fewest classes that it is defined for.
      cost: of a training step with it over one with cross-entropy alone, by `python -m benchmarks.losses --cost`.
      reads_labels: it reads `Step.targets`, so that it is about labelled samples only.
      members: it reads each member of an ensemble of teachers (`Step.members`); left out where the teacher is none.
      replaces: losses in whose place it stands where it is drawn, though they always are; a baseline keeps it too.
      tunes: the fields that the final comparison scales, the same for all arms.
    """

    kind: ClassVar[str] = "losses"

    modalities: AbstractSet[str] = ANY
    teacher: Literal["none", "stored", "live", "peer"]
    reads: AbstractSet[Part] = frozenset()
    student_reads: AbstractSet[Part] = frozenset()
    scale: Scale
    batch_statistic: bool = False
    min_classes: Annotated[int, Integer(2, 1_000_000)] = 2
    cost: Annotated[float, Real(1.0, 1000.0)] = 1.0
    reads_labels: bool = False
    members: bool = False
    replaces: AbstractSet[str] = frozenset()
    tunes: tuple[str, ...] = ("weight",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.members and self.teacher not in ("stored", "live"):
            raise ComponentError(f"Loss(members=True, teacher={self.teacher!r}): say 'stored' or 'live'")

    @property
    def reads_of(self) -> str:
        """Whose answers it reads where the pipeline names nobody: "teacher", "peer", or nobody's."""
        return {"none": "", "peer": "peer"}.get(self.teacher, "teacher")


@final
@dataclass(frozen=True, kw_only=True)
class Optimizer(InPipeline):
    """What an optimizer declares.

    Args:
      modalities: kinds of input that it is for.
      tunes: the fields that the final comparison scales, the same for all arms; () where it has no learning rate.
    """

    kind: ClassVar[str] = "optimizers"

    modalities: AbstractSet[str] = ANY
    tunes: tuple[str, ...] = ("learning_rate",)


@final
@dataclass(frozen=True, kw_only=True)
class Schedule(InPipeline):
    """What a learning rate schedule declares: kinds of input that it is for."""

    kind: ClassVar[str] = "schedules"

    modalities: AbstractSet[str] = ANY


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

    modalities: AbstractSet[str] = ANY
    needs_teacher: bool = False
    higher_is_better: bool
    unit: str = ""


@final
@dataclass(frozen=True, kw_only=True)
class Export(Declaration):
    """What an export declares.

    Args:
      modalities: kinds of input that the students take.
      trained: it writes a trained student; False: how one is trained, for which a pipeline file will do.
      output: the name of what it writes, with the ending of a file; of a folder without one.
    """

    kind: ClassVar[str] = "exports"

    modalities: AbstractSet[str] = ANY
    trained: bool = True
    output: str


_ALL: tuple[type[Declaration], ...] = (
    *(Modality, Dataset, Teacher, Student, Head, Init, Augment, Selection, Loss, Optimizer, Schedule, Proxy),
    Export,
)
KINDS: dict[str, type[Declaration]] = {declaration.kind: declaration for declaration in _ALL}
"""What components of each kind declare, by kind."""


@functools.cache
def _hints(cls: type[Declaration]) -> dict[str, Any]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}
