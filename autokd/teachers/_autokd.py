"""A teacher of one of autokd's own architectures: ARCH[:key=value,…]@FILE, or a FILE that names its architecture."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from torch import Tensor

from autokd import catalog, spec
from autokd.declarations import Teacher
from autokd.errors import TeacherError, UserError, nearest
from autokd.input_kind import takes
from autokd.networks import state_file
from autokd.networks.bare import Bare, FromFile
from autokd.networks.fed import Fed, InputForm
from autokd.networks.freeze import foreign, resized_task
from autokd.networks.models import seeded
from autokd.networks.naming import of_student
from autokd.networks.options import read_options
from autokd.networks.weights import agreement
from autokd.ranges import Choice, Integer, Range
from autokd.types import ANY, BuildContext, Task

ALIASES = {f"resnet{depth}": ("resnet", {"depth": depth, "width": 16}) for depth in (8, 14, 20, 32, 44, 56, 110)}
"""Names under which CIFAR papers know some of the architectures (He et al., CVPR 2016, section 4.2)."""

_MOST_VALUES = 64
_SUGGESTIONS = 3


@dataclass(frozen=True, kw_only=True)
class AutokdTeacher(FromFile, Fed):
    """A student architecture with trained weights.

    Fields of the architecture that are not given are inferred from the checkpoint's names and shapes.
    """

    declares = Teacher(modalities=ANY)

    arch: str = ""  # a student component or a CIFAR name such as resnet56; "" where the file names it
    fields: tuple[str, ...] = ()  # "key=value", fields of the architecture
    file: str  # checkpoint, or the folder of a student bundle
    key: str = ""  # of the weights in a file of several, or what their names begin with; "" for the averaged ones

    @property
    def source(self) -> str:
        """Return what `--teacher` takes, without options."""
        return f"{self.arch}@{self.file}" if self.arch else self.file

    def bare(self, task: Task, content: state_file.StateFile) -> Bare:
        """Return the network; see `autokd.networks.bare.FromFile`.

        Raises:
          TeacherError: its architecture is not known, or cannot be built.
          ComponentError: a field does not exist or has a value of the wrong type.
        """
        seen = resized_task(task, self.input_size)
        student = self._student(content, seen)
        plain = spec.component_to_plain(student)
        source = reference(plain, self.file)
        with foreign(f"the teacher {source} cannot be built for {task.dataset}"):
            network = student.build(BuildContext(task=seen))
        said = InputForm(mean=content.task.get("mean", ()), std=content.task.get("std", ()), source="its bundle's")
        return Bare(network=network, source=source, identity=plain, form=self.form(said), name=of_student(plain))

    def _student(self, content: state_file.StateFile, task: Task) -> Any:
        if self.arch:
            name, known = _architecture(self.arch)
            given = {**known, **read_options(self.fields)}
            if not content.state:  # there is no file
                return spec.make("students", name, given)
            return _fitted(name, given, content.state, task)
        if content.student is None:
            raise _unnamed(content, task)
        return spec.component_from_plain("students", content.student)


def reference(plain: Mapping[str, Any], file: str) -> str:
    """Return ARCH:key=value,…@FILE for a student component in plain form."""
    fields = ",".join(f"{key}={value}" for key, value in plain.items() if key != "use")
    return f"{plain['use']}{':' if fields else ''}{fields}@{file}"


def _architecture(arch: str) -> tuple[str, dict[str, int]]:
    """The student component and the fields that a name stands for."""
    students = catalog.names("students")
    if arch in students:
        return arch, {}
    if arch in ALIASES:
        return ALIASES[arch]
    raise TeacherError(
        f"there is no teacher architecture {arch!r}; {nearest(arch, [*students, *ALIASES])} "
        "(or timm:NAME@FILE, torchvision:NAME@FILE, package.module:factory@FILE)"
    )


class _Fit(NamedTuple):
    """How well an architecture fits a state dict: (shared less unshared keys, tensors of equal shape)."""

    score: tuple[int, int]
    student: Any


def _fitted(name: str, given: Mapping[str, Any], state: Mapping[str, Tensor], task: Task) -> Any:
    """The component whose fields, where not given, fit the state best, one after the other."""
    student = spec.make("students", name, given)
    cls: Any = type(student)
    for key, info in spec.fields_of(cls).items():
        if key not in given:
            candidates = [student, *_replaced(student, key, _values(info.range, state))]
            student = max(_fits(candidates, state, task), key=lambda fit: fit.score).student
    return student


def _fits(students: list[Any], state: Mapping[str, Tensor], task: Task) -> Iterator[_Fit]:
    """Score architectures; one that cannot be built scores below any other."""
    for student in students:
        score = (-(10**9), 0)
        with contextlib.suppress(UserError), foreign("building"), seeded(0):
            score = agreement(student.build(BuildContext(task=task)), state)
        yield _Fit(score, student)


def _replaced(student: Any, key: str, values: list[Any]) -> list[Any]:
    made = []
    for value in values:
        with contextlib.suppress(ValueError):
            made.append(replace(student, **{key: value}))
    return made


def _values(span: Range | None, state: Mapping[str, Tensor]) -> list[Any]:
    """The values of a range to try: all of a small one, of a large one those that occur as a size of some tensor."""
    if isinstance(span, Choice):
        return list(span.options)
    if not isinstance(span, Integer):
        return []
    values = range(span.low, span.high + 1, span.step)
    if len(values) <= _MOST_VALUES:
        return list(values)
    sizes = set(itertools.chain.from_iterable(tensor.shape for tensor in state.values()))
    return [value for value in values if value in sizes]


def _students_for(task: Task) -> list[str]:
    """The students that take a task's samples, but for those of other libraries."""
    declared = {name: catalog.load("students", name).declares for name in catalog.names("students")}
    return [n for n, each in declared.items() if takes(each.modalities, task.modality) and not each.family]


def _unnamed(content: state_file.StateFile, task: Task) -> TeacherError:
    """The error for a file that does not say what it holds, with the architectures that fit it best."""
    names = _students_for(task)
    fits = list(_fits([_fitted(name, {}, content.state, task) for name in names], content.state, task))
    best = sorted((fit for fit in fits if fit.score[1]), key=lambda fit: fit.score, reverse=True)[:_SUGGESTIONS]
    lines = [
        f"  --teacher {reference(spec.component_to_plain(fit.student), str(content.path))}"
        f"   ({fit.score[1]} of {len(content.state)} tensors fit)"
        for fit in best
    ]
    others = ", ".join(f"{head}@{content.path}" for head in ("timm:NAME", "torchvision:NAME", "package.module:factory"))
    return TeacherError(
        "\n".join(
            [
                f"{content.path} does not say which architecture it holds; name it before an @.",
                "Best fits by its keys:" if best else "None of autokd's architectures has keys like these.",
                *lines,
                f"  or --teacher {others}",
            ]
        )
    )
