"""Lists of class names as people have them: a text file with a name a line, JSON, `class_to_idx`, `id2label`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autokd.errors import TeacherError, one_line
from autokd.files import printable

KEYS = ("class_to_idx", "classes", "class_names", "names", "id2label", "label2id")
"""Keys under which trainers keep the names of the classes beside the weights, and tools in their JSON files."""
_FORMS = "expected a name a line, or JSON: a list of names, or a mapping between names and the numbers from 0"


def read_class_names(given: str | Path | Sequence[str] | Mapping[Any, Any]) -> tuple[str, ...]:
    """Return the names of a teacher's classes in the order of its outputs.

    Args:
      given: a file (a name a line; or JSON, see `names_of`), the names, or a mapping as in `names_of`.
    Raises:
      TeacherError: there is no such file, it is no list of names, or it is empty.
    """
    if not isinstance(given, str | Path):
        names, what = names_of(given), "the classes of the teacher"
    else:
        path = Path(given).expanduser()
        names, what = _read(path), printable(os.fspath(path))
    if not names:
        raise TeacherError(f"{what}: no list of class names; {_FORMS}")
    return names


def names_of(value: Any) -> tuple[str, ...]:
    """Return the class names of plain data in the order of their numbers; () where it is no list of names.

    A list of names or whole numbers is in order. A mapping goes from names to the numbers 0 to C - 1, or from these to
    names; or it has one of these under one of `KEYS`.

    >>> names_of({"dog": 1, "cat": 0}), names_of({"0": "cat", "1": "dog"}), names_of({"classes": ["cat", "dog"]})
    (('cat', 'dog'), ('cat', 'dog'), ('cat', 'dog'))
    """
    if isinstance(value, Mapping):
        return _by_number(value) or next(filter(None, (names_of(value[key]) for key in KEYS if key in value)), ())
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        return ()
    return tuple(map(str, value)) if all(map(_is_name, value)) else ()


def _is_name(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _by_number(value: Mapping[Any, Any]) -> tuple[str, ...]:
    """The names of a mapping between names and the numbers from 0 on, in either direction."""
    directions = (((number, name) for name, number in value.items()), value.items())
    for pairs in directions:
        named = {_number(number): str(name) for number, name in pairs if _is_name(name)}
        if len(named) == len(value) and set(named) == set(range(len(named))):
            return tuple(named[number] for number in range(len(named)))
    return ()


def _number(value: Any) -> int:
    """A whole number from 0 on, also as the text that JSON makes of a key; -1 for anything else."""
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _read(path: Path) -> tuple[str, ...]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TeacherError(f"{path} is no text in UTF-8; {_FORMS}") from error
    except OSError as error:
        raise TeacherError(f"cannot read {path}, the names of the teacher's classes: {error.strerror}") from error
    if path.suffix.lower() == ".json" or text.lstrip().startswith(("{", "[")):
        try:
            return names_of(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise TeacherError(f"{path} is not JSON: {one_line(error)}") from error
    lines = [line.strip() for line in text.rstrip().splitlines()]
    if "" in lines:
        raise TeacherError(f"{path}: line {lines.index('') + 1} is empty; {_FORMS}")
    return tuple(lines)
