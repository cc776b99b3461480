"""Reading the file of a teacher: a checkpoint or a student bundle, its tensors and the architecture that it names."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from torch import Tensor

from autokd.errors import TeacherError, one_line
from autokd.files import printable, read_tensors
from autokd.networks.plain_pickle import read_plain
from autokd.networks.weights_in import find_class_names, find_weights

METADATA_KEY = "autokd.student"
"""Key of a safetensors file's metadata that holds the student component as JSON."""

BUNDLE_FORMAT = 1

_SHOWN = 3


class StateFile(NamedTuple):
    """What a checkpoint holds.

    Args:
      path: the file; for a bundle, its folder.
      state: names and tensors, on the CPU, as the file has them (prefixes not yet stripped).
      student: the student component in plain form ({"use": name, field: value, …}), or None where the file names none.
      task: the task of a bundle in plain form (mean, std, classes, …); {} for other files.
      classes: names of the classes, in the order of the outputs; () where the file has none.
      note: which of several weights these are, and what is not read, for people; "" where there is nothing to say.
    """

    path: Path
    state: dict[str, Tensor]
    student: dict[str, Any] | None
    task: Mapping[str, Any] = {}
    classes: tuple[str, ...] = ()
    note: str = ""


NOTHING = StateFile(Path(), {}, None)
"""What is known of a network without a file."""


def read(path: str | Path, key: str = "") -> StateFile:
    """Read a checkpoint: a .safetensors file, a file of `torch.save`, or the folder of a student bundle.

    Only tensors and plain data are read: no code in the file is ever run, see `autokd.networks.plain_pickle`.

    Args:
      path: the file or folder.
      key: under which the weights lie in a file of several, or with which the names of one network begin; "" for those
        that the trainer itself would evaluate.
    Raises:
      TeacherError: the file is missing, damaged, a part of several, or holds no state dict, or none under the key.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise TeacherError(f"there is no teacher file {path}")
    if path.is_dir():
        return _read_bundle(path)
    if _SHARD.search(path.name):
        raise TeacherError(
            f"{printable(str(path))} is one of several files of a network, or their index; where it was made, save it "
            "as one: torch.save(model.state_dict(), NEW)"
        )
    if path.suffix == ".safetensors":
        return _read_safetensors(path, key)
    return _read_torch(path, key)


_SHARD = re.compile(r"-\d{5}-of-\d{5}\.|\.index\.json$|\.distcp$")
"""Names of files that hold a part of a network: those of Hugging Face, and of PyTorch's distributed checkpoints."""


def file_fingerprint(path: str | Path) -> str:
    """Return 16 hex digits that identify a checkpoint's bytes (a bundle: those of its weights).

    Raises:
      TeacherError: the file is missing.
    """
    path = Path(path).expanduser()
    path = teacher_file(path / "student.safetensors" if path.is_dir() else path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _read_bundle(path: Path) -> StateFile:
    model, weights = path / "model.json", path / "student.safetensors"
    if not model.is_file() or not weights.is_file():
        raise TeacherError(
            f"the folder {path} is not a student bundle: it needs model.json and student.safetensors{_inside(path)}"
        )
    try:
        plain = json.loads(model.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TeacherError(f"{model} is not JSON: {one_line(error)}") from error
    student = _named_student(plain, model)
    task = plain.get("task", {})
    return StateFile(path, _read_safetensors(weights).state, student, task, tuple(task.get("classes", ())))


def _inside(folder: Path) -> str:
    """What to do with a folder that another tool wrote; "" where that is unknown."""
    names = sorted(printable(file.name) for file in folder.iterdir())
    if any(_SHARD.search(name) for name in names) or ".metadata" in names:
        return "; it holds one network in several files: save it as one, torch.save(model.state_dict(), NEW)"
    whole = [name for name in names if name.endswith((".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".tar"))]
    return f"; to load one of its files, name that: {folder / whole[0]}" if whole else ""


def _read_safetensors(path: Path, key: str = "") -> StateFile:
    try:
        state, metadata = read_tensors(path)
        named = json.loads(metadata.get(METADATA_KEY, "null"))
    except (SafetensorError, OSError) as error:
        raise TeacherError(f"{path} is not a whole safetensors file ({one_line(error)}); get it again") from error
    except ValueError as error:
        raise TeacherError(f"{path}: its metadata {METADATA_KEY!r} is not JSON: {one_line(error)}") from error
    found = find_weights(state, printable(str(path)), key)
    return StateFile(path, found.state, named, note=found.note)


def _read_torch(path: Path, key: str) -> StateFile:
    read, shown = read_plain(path), printable(str(path))
    content = read.content
    named = content.get("autokd") if isinstance(content, Mapping) else None
    student = None if named is None else _named_student(named, path)
    found = find_weights(content, shown, key)
    names = find_class_names(content, found.state)
    foreign = f"objects of {', '.join(read.foreign[:_SHOWN])} are not read" if read.foreign else ""
    return StateFile(path, found.state, student, classes=names, note="; ".join(filter(None, (found.note, foreign))))


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


def teacher_file(path: Path | str) -> Path:
    """Return where a teacher's file is, without `~`.

    Raises:
      TeacherError: it is missing, or a folder.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise TeacherError(f"there is no teacher file {path}")
    return path
