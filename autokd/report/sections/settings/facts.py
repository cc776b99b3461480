"""What was asked, the data, and how often the test split was read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from autokd.report import words

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

SHOWN = ("name", "modality", "input_shape", "classes", "samples")
"""Entries of a data card that the page shows anyway."""


class SplitRead(NamedTuple):
    """A read of the test split: what for, and in which round of confirm."""

    why: str
    round: int


def card(study: StudyStore) -> dict[str, Any]:
    """Return what the data card says beside what the page shows anyway."""
    facts: Mapping[str, Any] = study.settings.data.card
    return {key: value for key, value in facts.items() if key not in SHOWN and value}


def reads(path: Path) -> list[SplitRead]:
    """Return the reads of the test split that a study's `test_reads.jsonl` lists."""
    file = path / "test_reads.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [_read(**json.loads(line)) for line in lines if line.strip()]


def _read(*, why: str, round: int, **_: Any) -> SplitRead:
    return SplitRead(why, round)


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
