"""Which output of a teacher stands for which class of the data, where the teacher has them otherwise: by name."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import torch

from autokd.errors import TeacherError, nearest
from autokd.types import Inputs, Output, Shapes, Task, Teacher, TeacherHead

_log = logging.getLogger("autokd")
_SHOWN = 5


def teachers_task(task: Task, given: Sequence[str], found: Sequence[str], source: str) -> Task:
    """Return the task as a teacher knows it: with classes of its own, in the order of its outputs.

    Names in the teacher's file count where any of them is a class of the data. Where none is and there are as many, the
    outputs are taken in the data's order, with a warning.

    Args:
      task: the data's; it is returned as it is where the teacher's classes are the data's, in their order.
      given: the names that the user gave, in the order of the teacher's outputs; () for none.
      found: those in the teacher's file; () for none.
      source: the teacher, for messages.
    Raises:
      TeacherError: a class of the data is not among the names, or several of them may be it.
    """
    names = tuple(given or found)
    if not names:
        return task
    if not given and len(names) == task.num_classes and not knows_some(names, task):
        _log.warning(
            "the file of the teacher %s names its classes %s, not %s like %s: its outputs are taken in the data's "
            "order; say --teacher-classes FILE if they have another one",
            *(source, _listed(names), _listed(task.classes), task.dataset),
        )
        return task
    if outputs_of(names, task, source) == tuple(range(len(names))) and len(names) == task.num_classes:
        return task
    return dataclasses.replace(task, classes=names, dataset="the list of its classes")


def knows_some(names: Sequence[str], task: Task) -> bool:
    """Return whether any class of a task is among the names of a teacher's classes."""
    return any(_places(names, task.classes))


def outputs_of(names: Sequence[str], task: Task, source: str) -> tuple[int, ...]:
    """Return the output of a teacher for each class of the data, by name; upper case, blanks and dashes do not matter.

    Args:
      names: of the teacher's classes, in the order of its outputs.
      task: the data's.
      source: the teacher, for messages.
    Raises:
      TeacherError: a class of the data is not among the names, or several of them may be it.
    """
    places = _places(names, task.classes)
    missing = [name for name, found in zip(task.classes, places, strict=True) if not found]
    if missing:
        hint = nearest(missing[0], names) if len(names) <= _SHOWN * 2 else _nearest_of_many(missing[0], names)
        raise TeacherError(
            f"the teacher {source} does not know {len(missing)} of the {task.num_classes} classes of {task.dataset}: "
            f"{_listed(missing)} ({hint}); the names of its outputs, in their order, must be those of the data: give "
            "them with --teacher-classes FILE; or train it on these classes first, with --fine-tune"
        )
    several = [(name, found) for name, found in zip(task.classes, places, strict=True) if len(found) > 1]
    if several:
        name, found = several[0]
        raise TeacherError(
            f"the teacher {source} has {len(found)} outputs called {name!r} (numbers {_listed(found)}, from 0); name "
            "the one that is meant, and the others otherwise, with --teacher-classes FILE"
        )
    return tuple(found[0] for found in places)


def _nearest_of_many(name: str, names: Sequence[str]) -> str:
    hint = nearest(name, names)
    return hint if hint.startswith("did") else f"it knows {_listed(names)}"


def _places(names: Sequence[str], classes: Sequence[str]) -> list[tuple[int, ...]]:
    """For each class the outputs of that name; where there are none, those whose name is written otherwise."""
    exact, alike = _index(names), _index(map(_plainly, names))
    taken = set(names) & set(classes)
    spellings = Counter(map(_plainly, classes))
    places = []
    for name in classes:
        others = [place for place in alike.get(_plainly(name), ()) if names[place] not in taken]
        places.append(exact.get(name, tuple(others) if spellings[_plainly(name)] == 1 else ()))
    return places


def _index(names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    places: dict[str, tuple[int, ...]] = {}
    for place, name in enumerate(names):
        places[name] = (*places.get(name, ()), place)
    return places


def _plainly(name: str) -> str:
    """A name without upper case, blanks, dashes and forms of accents; of a number its shortest form."""
    if "_" not in name:  # which Python allows in a number
        with contextlib.suppress(ValueError):
            return repr(float(name))
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(sign for sign in folded if sign not in "_-" and not sign.isspace()) or folded


def _listed(names: Sequence[object]) -> str:
    return ", ".join(map(str, names[:_SHOWN])) + (", …" if len(names) > _SHOWN else "")


class ByName:
    """A teacher as one of the data's classes: of its outputs, the one of each class, in the data's order.

    Features, embedding and attention are the teacher's own; of its classifier the rows of these outputs are left.

    Args:
      whole: the teacher, with all its outputs.
      outputs: for each class of the data the number of an output.
      known: number of the classes that the teacher knows; 0 where nobody need hear of it.
    """

    def __init__(self, whole: Teacher, outputs: Sequence[int], known: int = 0) -> None:
        self.whole = whole
        self.outputs = tuple(outputs)
        self._known = known
        self.fingerprint = hashlib.sha256(f"{whole.fingerprint}{self.outputs}".encode()).hexdigest()[:16]
        self._index = torch.tensor(self.outputs)

    @property
    def offers(self) -> Shapes:
        """What its outputs hold, beside logits."""
        return self.whole.offers

    @property
    def origin(self) -> str:
        """Where it comes from, for people."""
        if not self._known:
            return self.whole.origin
        more = f"{len(self.outputs)} of its {self._known} classes" if self._known > len(self.outputs) else "its classes"
        return f"{self.whole.origin}, {more} by name"

    @property
    def params(self) -> int:
        """Number of parameters, those of classes that are left out too."""
        return self.whole.params

    @property
    def head(self) -> TeacherHead | None:
        """Weight [C, D] and bias of its classifier, or None; see `autokd.types.Teacher`."""
        head = self.whole.head
        if head is None:
            return None
        weight, bias = head
        index = self._index.to(weight.device)
        return weight.detach()[index], None if bias is None else bias.detach()[index]

    def to(self, device: torch.device) -> ByName:
        """Move it to a device; return it."""
        self.whole = self.whole.to(device)
        self._index = self._index.to(device)
        return self

    def predict(self, inputs: Inputs) -> Output:
        """Answer a batch; see `autokd.types.Teacher`."""
        output = self.whole.predict(inputs)
        return output._replace(logits=output.logits.index_select(1, self._index))


def whole(teacher: Teacher) -> Teacher:
    """Return a teacher with all its outputs; one whose classes are the data's is that itself."""
    return teacher.whole if isinstance(teacher, ByName) else teacher


def by_name(teacher: Teacher, own: Task, task: Task) -> Teacher:
    """Return a teacher as one of the data's classes.

    Args:
      teacher: answers as `own` says.
      own: what `teachers_task` returned.
      task: the data's.
    Returns:
      The teacher itself where its classes are the data's, in their order.
    """
    if own.classes == task.classes or own is task:
        return teacher
    return ByName(teacher, outputs_of(own.classes, task, teacher.origin), len(own.classes))
