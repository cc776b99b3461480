"""The files that the components of a space read: found from where the space's file is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autokd import catalog, spec
from autokd.errors import ComponentError, MissingDependency
from autokd.networks.located import located
from autokd.space.read_values import Problems


def with_files(top: Mapping[str, Any], table: spec.Slots, folder: Path, problems: Problems) -> dict[str, Any]:
    """Return the sections of a space file with absolute paths and digests of the files that components read.

    Args:
      top: sections by name; what is no component as it should be is left to whoever reads it.
      table: the slots of a pipeline.
      folder: what relative paths are relative to.
      problems: takes every file that is missing, with its path.
    """
    slots = {name: slot for name, slot in table.items() if isinstance(slot, spec.Slot) and not slot.many}
    return {
        name: _section(name, slots[name], body, folder, problems) if name in slots else body
        for name, body in top.items()
    }


FROM_WEIGHTS = "from_weights"
"""Word for what a part holds where all students begin with weights of a file."""


def taken_words(top: Mapping[str, Any], table: spec.Slots) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the sections of a space file without what they hold where students begin with weights, and that."""
    words = {k: v for k, v in top.items() if k in table and isinstance(v, dict) and FROM_WEIGHTS in v}
    left = {name: {key: item for key, item in body.items() if key != FROM_WEIGHTS} for name, body in words.items()}
    return {**top, **left}, {name: {"one_of": body[FROM_WEIGHTS]} for name, body in words.items()}


def taken_absent(top: Mapping[str, Any], table: spec.Slots) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the sections of a space file without components of libraries that are not installed, and which, why.

    Where nothing else is left to choose from, they stay, for whoever reads them to say so.
    """
    left, dropped = dict(top), list[str]()
    for name, slot in table.items():
        options = _options(top.get(name)) if isinstance(slot, spec.Slot) else {}
        why = {use: reason for use in options if (reason := _absence(slot.kind, use))}  # type: ignore[union-attr]
        if why and len(why) < len(options):
            left[name] = {**top[name], "one_of": {use: each for use, each in options.items() if use not in why}}
            dropped += [f"{name}.one_of.{use}: {reason}" for use, reason in why.items()]
    return left, tuple(dropped)


def _options(body: Any) -> dict[str, Any]:
    """What a section may choose from; {} where it is no mapping as it should be."""
    options = body.get("one_of") if isinstance(body, dict) else None
    return {str(use): fields for use, fields in options.items()} if isinstance(options, dict) else {}


def _absence(kind: str, use: str) -> str:
    """Why the library of a component cannot be used; "" where it can, or there is none."""
    try:
        if catalog.family_of(kind, use):
            catalog.load(kind, use)
    except MissingDependency as error:
        return str(error)
    except ComponentError:  # it is told where the component is read
        return ""
    return ""


def taken_weights(
    top: Mapping[str, Any], student: str, folder: Path, problems: Problems
) -> tuple[dict[str, Any], dict[str, Path]]:
    """Return the sections of a space file without the files of weights that students name, and those by student.

    Args:
      top: sections by name.
      student: the section of the students.
      folder: what relative paths are relative to.
      problems: takes every file that is missing, with its path.
    """
    body, files = top.get(student), dict[str, Path]()
    if not isinstance(body, dict):
        return dict(top), files
    left = dict(body)
    for word, entries in body.items():
        named = {use: each for use, each in entries.items() if _names(each)} if isinstance(entries, dict) else {}
        for use, each in named.items():
            files[str(use)] = (folder / Path(str(each[WEIGHTS])).expanduser()).absolute()
            if not files[str(use)].exists():
                problems.append(f"{student}.{word}.{use}.{WEIGHTS}: there is no file {files[str(use)]}")
            left[word] = {**left[word], use: {key: value for key, value in each.items() if key != WEIGHTS}}
    return {**top, student: left}, files


WEIGHTS = "weights"
"""Key of a student for the file that it begins with."""


def _names(fields: Any) -> bool:
    return isinstance(fields, dict) and WEIGHTS in fields


def _section(name: str, slot: spec.Slot, body: Any, folder: Path, problems: Problems) -> Any:
    if not isinstance(body, dict):
        return body
    return {
        word: {
            use: _entry(f"{name}.{word}.{use}", slot, use, fields, folder, problems) for use, fields in there.items()
        }
        if isinstance(there, dict)
        else there
        for word, there in body.items()
    }


def _entry(place: str, slot: spec.Slot, use: Any, fields: Any, folder: Path, problems: Problems) -> Any:
    known = catalog.knows(slot.kind, str(use)) and not _absence(slot.kind, str(use))
    if not known or not isinstance(fields or {}, dict):
        return fields
    try:
        return located(fields or {}, catalog.load(slot.kind, str(use)).declares, folder)
    except ComponentError as error:
        problems.append(f"{place}.{error}")
        return fields
