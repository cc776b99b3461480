"""How often a study's test split was read, and what for."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

FILE = "test_reads.jsonl"
"""In a study's folder."""
CLAIM, INT8 = "claim", "int8"
"""What test is read for: to make a claim, or to measure the claimed student in 8 bits, on which no choice rests."""


class SplitRead(NamedTuple):
    """A read of the test split: what for, and in which round of confirm."""

    why: str
    round: int


def reads_of_test(path: Path) -> list[SplitRead]:
    """Return the reads that a study's `test_reads.jsonl` lists.

    Args:
      path: the study's folder.
    """
    file = path / FILE
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [_read(**json.loads(line)) for line in lines if line.strip()]


def note_read(path: Path, read: SplitRead) -> None:
    """Add a read to a study's list, before it is done.

    Args:
      path: the study's folder.
      read: what for.
    """
    line = {"time": round(time.time(), 3), "round": read.round, "why": read.why}
    with (path / FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _read(*, why: str, round: int, **_: Any) -> SplitRead:
    return SplitRead(why, round)
