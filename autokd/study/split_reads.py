"""How often a study's test split was read, and what for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple


class SplitRead(NamedTuple):
    """A read of the test split: what for, and in which round of confirm."""

    why: str
    round: int


def reads_of_test(path: Path) -> list[SplitRead]:
    """Return the reads that a study's `test_reads.jsonl` lists.

    Args:
      path: the study's folder.
    """
    file = path / "test_reads.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [_read(**json.loads(line)) for line in lines if line.strip()]


def _read(*, why: str, round: int, **_: Any) -> SplitRead:
    return SplitRead(why, round)
