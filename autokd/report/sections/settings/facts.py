"""What was asked, and the data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autokd.report import words

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

SHOWN = ("name", "modality", "input_shape", "classes", "samples")
"""Entries of a data card that the page shows anyway."""


def card(study: StudyStore) -> dict[str, Any]:
    """Return what the data card says beside what the page shows anyway."""
    facts: Mapping[str, Any] = study.settings.data.card
    return {key: value for key, value in facts.items() if key not in SHOWN and value}


def space_text(path: Path) -> str:
    """Return the space file of a study, verbatim; "" where there is none."""
    file = path / "space.yaml"
    return file.read_text(encoding="utf-8") if file.exists() else ""


def setting(value: Any) -> str:
    """Return a value of `study.yaml` on one line."""
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {setting(item)}" for key, item in value.items())
    return ", ".join(map(setting, value)) if isinstance(value, (list, tuple)) else words.value(value)
