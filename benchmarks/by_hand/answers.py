"""What a side recommended for a set and how it did on test: one line of JSON each, which the report reads."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RECORDS = Path(__file__).parent / "records"
SIDES = ("person", "random", "search")
LABELLED = frozenset({"search"})
"""Sides that depend on autokd's version; the others are run once and count beside every version."""

Unit = tuple[str, str, int]
"""Set, side and seed: what is run in one go."""


@dataclass(frozen=True, kw_only=True)
class FreshRun:
    """One run of a recommended pipeline at full length.

    Args:
      seed: of the run.
      validation, test: accuracies.
      correct: whether each test item is right, as packed bits in base64.
      items: of the test part.
    """

    seed: int
    validation: float
    test: float
    correct: str
    items: int

    @property
    def right(self) -> NDArray[np.bool_]:
        """[items]: whether each test item is right."""
        return unpacked(self.correct, self.items)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a side recommended.

    Args:
      set, side, label, seed: whose answer, to what; the label is that of autokd's version, "" for the other sides.
      recipe: name of the rule, or None.
      pipeline: plain.
      epochs: of every run of the person and of random draws, and of the tested ones.
      runs: trained until then.
      seconds: spent until then.
      tested: the fresh runs.
      notes: what else may explain the result.
    """

    set: str
    side: str
    label: str
    seed: int
    recipe: str | None
    pipeline: Mapping[str, Any]
    epochs: int
    runs: int
    seconds: float
    tested: tuple[FreshRun, ...]
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def unit(self) -> Unit:
        """What it is the answer to."""
        return self.set, self.side, self.seed

    @property
    def right(self) -> NDArray[np.float64]:
        """[items]: share of the fresh runs that have each test item right."""
        shares: NDArray[np.float64] = np.mean([run.right for run in self.tested], axis=0)
        return shares

    def to_json(self) -> str:
        """Return it as one line."""
        return json.dumps(dataclasses.asdict(self), allow_nan=False)


def from_json(line: str) -> Answer:
    """Inverse of `Answer.to_json`."""
    plain = json.loads(line)
    return Answer(**{**plain, "tested": tuple(FreshRun(**run) for run in plain["tested"])})


def packed(right: NDArray[np.bool_]) -> str:
    """Return booleans [items] as text, 4 characters for 24 items."""
    return base64.b64encode(np.packbits(right).tobytes()).decode()


def unpacked(text: str, items: int) -> NDArray[np.bool_]:
    """Inverse of `packed`."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text), dtype=np.uint8), count=items)
    return bits.astype(bool)


def label_of(side: str, label: str) -> str:
    """Return the label that a side's records have."""
    return label if side in LABELLED else ""


def file_name(side: str, label: str) -> str:
    """Return the name of a side's files, of runs and of answers."""
    return f"{'-'.join(filter(None, (side, label_of(side, label))))}.jsonl"


def read(folder: Path = RECORDS) -> list[Answer]:
    """Return all answers in the records; a last line that was not written whole is passed over."""
    return [
        from_json(line)
        for file in sorted((folder / "answers").glob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").splitlines(keepends=True)
        if line.endswith("\n")
    ]


def append(folder: Path, name: str, line: str) -> None:
    """Write an answer as a file's last line; what a killed writer left of a line is cut off first."""
    file = folder / "answers" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab+") as there:
        there.seek(0)
        there.truncate(there.read().rfind(b"\n") + 1)
        there.write(line.encode() + b"\n")


def of_label(answers: Iterable[Answer], label: str) -> dict[Unit, Answer]:
    """Return the answers that count for a version, by unit."""
    return {answer.unit: answer for answer in answers if answer.label == label_of(answer.side, label)}
