"""Reading the file of a teacher: a checkpoint or a student bundle, its tensors and the architecture that it names."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from torch import Tensor

from autokd.errors import TeacherError, one_line
from autokd.files import read_tensors

WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "net")
"""Keys under which training scripts keep the weights beside other things; averaged weights come first."""

METADATA_KEY = "autokd.student"
"""Key of a safetensors file's metadata that holds the student component as JSON."""

BUNDLE_FORMAT = 1


class StateFile(NamedTuple):
    """What a checkpoint holds.

    Args:
      path: the file; for a bundle, its folder.
      state: names and tensors, on the CPU, as the file has them (prefixes not yet stripped).
      student: the student component in plain form ({"use": name, field: value, …}), or None where the file names none.
      task: the task of a bundle in plain form (mean, std, classes, …); {} for other files.
      classes: names of the classes, in the order of the outputs; () where the file has none.
    """

    path: Path
    state: dict[str, Tensor]
    student: dict[str, Any] | None
    task: Mapping[str, Any] = {}
    classes: tuple[str, ...] = ()


def read(path: str | Path) -> StateFile:
    """Read a checkpoint: a .safetensors file, a file of `torch.save`, or the folder of a student bundle.

    Only tensors and plain data are read: no code in the file is ever run.

    Raises:
      TeacherError: the file is missing, damaged, holds anything but tensors and plain data, or no state dict.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise TeacherError(f"there is no teacher file {path}")
    if path.is_dir():
        return _read_bundle(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return _read_torch(path)


def file_fingerprint(path: str | Path) -> str:
    """Return 16 hex digits that identify a checkpoint's bytes (a bundle: those of its weights).

    Raises:
      TeacherError: the file is missing.
    """
    path = Path(path).expanduser()
    path = path / "student.safetensors" if path.is_dir() else path
    if not path.is_file():
        raise TeacherError(f"there is no teacher file {path}")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _read_bundle(path: Path) -> StateFile:
    model, weights = path / "model.json", path / "student.safetensors"
    if not model.is_file() or not weights.is_file():
        raise TeacherError(f"the folder {path} is not a student bundle: it needs model.json and student.safetensors")
    try:
        plain = json.loads(model.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TeacherError(f"{model} is not JSON: {one_line(error)}") from error
    student = _named_student(plain, model)
    task = plain.get("task", {})
    return StateFile(path, _read_safetensors(weights).state, student, task, tuple(task.get("classes", ())))


def _read_safetensors(path: Path) -> StateFile:
    try:
        state, metadata = read_tensors(path)
        named = json.loads(metadata.get(METADATA_KEY, "null"))
    except (SafetensorError, OSError) as error:
        raise TeacherError(f"{path} is not a whole safetensors file ({one_line(error)}); get it again") from error
    except ValueError as error:
        raise TeacherError(f"{path}: its metadata {METADATA_KEY!r} is not JSON: {one_line(error)}") from error
    return StateFile(path, _only_state(state, path), named)


def _read_torch(path: Path) -> StateFile:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise TeacherError(_refusal(path, str(error))) from error
    except (RuntimeError, EOFError, OSError, KeyError, ValueError, IndexError, AttributeError, TypeError) as error:
        raise TeacherError(f"{path} is damaged, cut short or no checkpoint ({one_line(error)})") from error
    named = content.get("autokd") if isinstance(content, Mapping) else None
    student = None if named is None else _named_student(named, path)
    return StateFile(path, _only_state(_unwrapped(content), path), student)


def _refusal(path: Path, message: str) -> str:
    """Say why weights-only loading refused a file, and what to do."""
    found = re.search(r"GLOBAL ([\w.]+)", message)
    if found is None:
        return f"{path} is damaged or no checkpoint of torch.save"
    return (
        f"{path} holds a Python object ({found[1]}) beside or around its tensors, which is not loaded since it could "
        "run code; if you trust the file, save its state dict alone and give that: "
        "torch.save(torch.load(FILE, weights_only=False)[KEY], NEW)"
    )


def _named_student(plain: Any, source: Path) -> dict[str, Any]:
    """The student component that {"format": 1, "student": {"use": …}} names."""
    if not isinstance(plain, Mapping) or not isinstance(plain.get("student"), Mapping):
        raise TeacherError(f"{source} does not name its student: expected {{'format': 1, 'student': {{'use': …}}}}")
    if plain.get("format") != BUNDLE_FORMAT:
        raise TeacherError(
            f"{source} has format {plain.get('format')!r}; this version of autokd reads format {BUNDLE_FORMAT}"
        )
    if plain.get("head", "plain") not in ("plain", {"use": "plain"}):
        raise TeacherError(
            f"{source}: the student has a head of its own ({plain['head']}), which no teacher can have yet"
        )
    return dict(plain["student"])


def _unwrapped(content: Any) -> Any:
    """The innermost mapping under `WRAPPERS`."""
    while isinstance(content, Mapping):
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            return content
        content = inner
    return content


def _only_state(content: Any, path: Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping) and content and all(isinstance(value, Tensor) for value in content.values()):
        return {str(key): value for key, value in content.items()}
    seen = f"keys {', '.join(map(repr, list(content)[:5]))}" if isinstance(content, Mapping) else type(content).__name__
    raise TeacherError(
        f"{path} holds no state dict (found: {seen}); expected names and tensors, bare or under one of "
        f"{', '.join(WRAPPERS)}"
    )
