"""What was asked, and the data, in words that may be passed on: without folders of this machine."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from autokd.report import words

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

SHOWN = ("name", "modality", "input_shape", "classes", "samples", "class_counts")
"""Entries of a data card that the page shows anyway."""
LOCAL = ("cache", "data_dir", "storage", "threads", "workers")
"""Settings that say where it ran, not what was done."""
FOLDERS = re.compile(r"(?<![\w.:/\\])(?:~|[A-Za-z]:)?[/\\](?:[^\s,;:'\"/\\]+[/\\])+")
"""The folders of an absolute path in a text."""


class ClassCount(NamedTuple):
    """Samples of a class in training and validation; None where nobody counted."""

    name: str
    train: int
    validation: int | None


def shareable(text: str) -> str:
    """Return a text with absolute paths shortened to the names of their files.

    Example:
      >>> shareable("checkpoint /home/me/models/big.pt, resnet")
      'checkpoint big.pt, resnet'
    """
    return FOLDERS.sub("", text)


def data_lines(study: StudyStore) -> Iterator[tuple[str, str]]:
    """Yield (what, words) of the data card."""
    card: Mapping[str, Any] = study.settings.data.card
    for key, value in card.items():
        if key in TELLERS:
            title, tell = TELLERS[key]
            yield title, tell(value)
        elif key not in SHOWN and value:
            yield key.replace("_", " "), setting(value)


def _splits(official: Mapping[str, bool]) -> str:
    parts = [
        f"{name} supplied with the data" if given else f"{name} drawn from training" for name, given in official.items()
    ]
    return words.capital("; ".join(parts))


def _duplicates(found: Mapping[str, int]) -> str:
    parts = [f"{words.count(number)} of {split}" for split, number in found.items() if number]
    return f"Also in training: {words.listed(parts)}" if parts else "None between the splits"


def _unlabelled(found: Mapping[str, Any]) -> str:
    left_out = found.get("also_held_out", 0)
    also = f"; {words.count(left_out)} more are also in validation or test, and are left out" if left_out else ""
    what = f"rows made of training rows ({found['made']})" if found.get("made") else "samples"
    return f"{words.count(found['samples'])} {what} to distil on{also}"


TELLERS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "official": ("Splits", _splits),
    "also_in_train": ("Duplicates", _duplicates),
    "unlabelled": ("Without labels", _unlabelled),
}
"""Entries of a data card that are told in words of their own."""


def class_counts(study: StudyStore) -> list[ClassCount]:
    """Return how many samples each class has; [] where nobody counted."""
    data = study.settings.data
    train, validation = data.counts("train"), data.counts("validation")
    if not train:
        return []
    rows = enumerate(data.task.classes)
    return [ClassCount(name, train[i], validation[i] if i < len(validation) else None) for i, name in rows]


def asked(study: StudyStore) -> list[tuple[str, str, str]]:
    """Return (setting, value, origin) of what was asked for, or is of the space file."""
    return [
        (name.replace("_", " "), setting(item.value), item.origin)
        for name, item in study.settings.settings.items()
        if item.value is not None and item.origin != "default" and name not in LOCAL
    ]


def space_text(path: Path) -> str:
    """Return the space file of a study, verbatim; "" where there is none."""
    file = path / "space.yaml"
    return file.read_text(encoding="utf-8") if file.exists() else ""


def setting(value: Any) -> str:
    """Return a value of `study.yaml` on one line, without folders of this machine."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {setting(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(setting, value))
    return words.figure(value) if isinstance(value, float) else shareable(str(value))
