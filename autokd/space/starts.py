"""Students that begin with weights from files: which file each one begins with, and what else follows from that."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autokd import catalog, spec
from autokd.errors import SpaceError
from autokd.networks.located import located
from autokd.ranges import Range
from autokd.space.buildable import unset
from autokd.space.candidate import Candidate, traits_of
from autokd.space.parts import Check, Content, Part
from autokd.space.source import Source
from autokd.types import Task

SLOT, KIND = "init", "inits"
FILE, RANDOM = "pretrained", "random"
"""The slot of starts, and the components of it that begin with a file and at random."""


@dataclass(frozen=True, kw_only=True)
class StartOfEach:
    """The part of a space that holds how the student begins: each with a file of its own, the others at random.

    Args:
      slot, student: its own, and that of the student.
      starts: the component that begins with a file, by the full name of the student.
      otherwise: what the other students begin with; None where there are no others.
    """

    slot: str
    student: str
    starts: Mapping[str, Candidate]
    otherwise: Candidate | None

    @property
    def follows(self) -> bool:
        """Whether it keeps out of the way of what the other slots hold: it stands behind the student, and looks."""
        return False

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """All starts."""
        return (*self.starts.values(), *([] if self.otherwise is None else [self.otherwise]))

    @property
    def possible(self) -> tuple[Candidate, ...]:
        """The candidates that can be drawn: all."""
        return self.candidates

    @property
    def always(self) -> tuple[Candidate, ...]:
        """What stands in every pipeline: nothing."""
        return ()

    def draw(self, source: Source, present: Sequence[Candidate]) -> Content:
        """Return the start of the student that is there."""
        return self.complete(None, present)

    def complete(self, partial: Any, present: Sequence[Candidate]) -> Content:
        """Return the start of the student that is there, with what is stated otherwise."""
        start = self._of(present)
        if start is None:
            return Content(partial or {"use": RANDOM}, {})
        return Content({**start.default(), **(partial or {})}, {}, (start,))

    def fit(self, value: Any, present: Sequence[Candidate], problems: list[str]) -> Content:
        """Recognise the start of the student that is there."""
        start = self._of(present)
        if start is None or value != start.default():
            problems.append(f"{self.slot}: {value.get('use')!r} is not how this space begins with this student")
            return Content(value, {})
        return Content(value, {}, (start,))

    def spans(self) -> dict[str, Range]:
        """Return the parameters: there are none."""
        return {}

    def identity(self) -> Any:
        """Return the start of each student."""
        others = {} if self.otherwise is None else {"": self.otherwise.identity()}
        return {"of_each": {**{name: start.identity() for name, start in self.starts.items()}, **others}}

    def filtered(self, check: Check, dropped: list[str], problems: list[str]) -> StartOfEach:
        """Leave out the starts that fail the check."""
        reasons = {name: reason for name, start in self.starts.items() if (reason := check(start))}
        dropped += [f"{self.starts[name].place}: {reason}" for name, reason in reasons.items()]
        return dataclasses.replace(self, starts={k: v for k, v in self.starts.items() if k not in reasons})

    def changed(self, change: Callable[[Candidate], Candidate]) -> StartOfEach:
        """Put what a change makes of each start in its place."""
        otherwise = None if self.otherwise is None else change(self.otherwise)
        starts = {name: change(start) for name, start in self.starts.items()}
        return dataclasses.replace(self, starts=starts, otherwise=otherwise)

    def misfit(self, student: Candidate, task: Task) -> str | None:
        """Say why a student cannot begin with its file, or None where it can, or begins with none."""
        start = self.starts.get(student.full_name)
        return None if start is None else unset(start, student, task)

    def of(self, student: Mapping[str, Any]) -> dict[str, Any]:
        """Return the start of a plain student, plain."""
        start = self.starts.get(f"{self.student}.{student['use']}", self.otherwise)
        return {"use": RANDOM} if start is None else start.default()

    def _of(self, present: Sequence[Candidate]) -> Candidate | None:
        there = (self.starts[each.full_name] for each in present if each.full_name in self.starts)
        return next(there, self.otherwise)


def begun(parts: Mapping[str, Part], student: str, files: Mapping[str, Path]) -> dict[str, Part]:
    """Return the parts of a space whose students begin with files.

    Args:
      parts: by slot.
      student: the slot of the students.
      files: by the name of a student's component; those that are not among them begin at random.

    Raises:
      ComponentError: a file is missing.
    """
    starts: dict[str, Candidate] = {}
    for each in parts[student].candidates:
        if each.use in files:
            starts[each.full_name] = _start(f"{each.place}.weights", FILE, {"path": str(files[each.use])})
    whole = len(starts) == len(parts[student].candidates)
    otherwise = None if whole else _start(f"{SLOT}.{RANDOM}", RANDOM, {})
    fed = parts[student].changed(lambda each: _fed(each, files[each.use]) if each.use in files else each)
    return {**parts, student: fed, SLOT: StartOfEach(slot=SLOT, student=student, starts=starts, otherwise=otherwise)}


def _start(place: str, use: str, fields: Mapping[str, Any]) -> Candidate:
    declares = catalog.load(KIND, use).declares
    plain = spec.component_to_plain(spec.make(KIND, use, located(fields, declares, Path.cwd())))
    return Candidate(
        name=use,
        slot=SLOT,
        kind=KIND,
        use=use,
        place=place,
        ranges={},
        fixed={key: value for key, value in plain.items() if key != "use"},
        defaults={},
        traits=traits_of(SLOT, declares),
    )


def _fed(student: Candidate, file: Path) -> Candidate:
    """The student, fed as the weights in its file want it, as far as the space leaves that open."""
    if not catalog.family_of(student.kind, student.use):
        return student
    wanted = catalog.load(student.kind, student.use).fed_by(file)
    open_ = {key: value for key, value in wanted.items() if student.fixed.get(key) == []}
    return dataclasses.replace(student, fixed={**student.fixed, **open_})


def files_in(folder: Path, students: Sequence[Candidate], source: str) -> dict[str, Path]:
    """Return the file in a folder with which each student begins, by the name of its component; not all have one.

    Raises:
      SpaceError: there is no such folder, or it has weights for none of the students.
    """
    if not folder.is_dir():
        raise SpaceError([f"--weights {folder}: there is no such folder"], source)
    families = {each.use: each.kind for each in students if catalog.family_of(each.kind, each.use)}
    if not families:
        raise SpaceError(["--weights: none of the students is of timm or torchvision; name files in the space"], source)
    found = {use: catalog.load(kind, use).file_in(folder) for use, kind in families.items()}
    files = {use: path for use, path in found.items() if path is not None}
    if not files:
        names = ", ".join(dict.fromkeys(f"{use.partition(':')[2]}.safetensors" for use in families))
        missing = f"no weights for any student; looked for {names}, or the same with .pth, .pt or .bin"
        raise SpaceError([f"--weights {folder}: {missing}"], source)
    return files
