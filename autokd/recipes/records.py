"""Records of training runs, one a line, by which recipes are picked and that others may learn from."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autokd.errors import StudyError
from autokd.files import as_plain


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One student that was trained and scored, with what is needed to compare it with others.

    Args:
      dataset: the name of the set, a subset of a larger one included: "fashion_mnist-1000".
      family: sets that share their source have one family ("fashion_mnist"); what is learned from one of them must not
        be judged on another.
      n_train: training samples.
      classes: number of classes.
      kind: of input.
      limit: largest value of each cost that was limited, by name ("params": 30000); {} without limits.
      side: who chose the pipeline: "recipe" (a rule as it is), "search", "person" (a rule, tuned), "random", ….
      recipe: name of the rule, or None.
      pipeline: the plain pipeline.
      epochs: it was trained for.
      seed: of the run.
      validation: validation score, more is better.
      test: test score, more is better; None where nobody looked at test.
      seconds: wall time of the training.
      versions: of autokd, torch, …, by name.
    """

    dataset: str
    family: str
    n_train: int
    classes: int
    kind: str
    limit: Mapping[str, float]
    side: str
    recipe: str | None
    pipeline: Mapping[str, Any]
    epochs: int
    seed: int
    validation: float
    test: float | None = None
    seconds: float
    versions: Mapping[str, str] = field(default_factory=dict)


def append_row(path: Path, row: RunRow) -> None:
    """Write a row as the file's last line and flush it to disk; what a killed writer left of a line is cut off first.

    One process at a time may write to a file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_plain(dataclasses.asdict(row)), allow_nan=False) + "\n"
    with path.open("ab+") as file:
        file.seek(0)
        file.truncate(len(b"".join(_whole(file.read()))))
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


def read_rows(path: Path) -> list[RunRow]:
    """Return the rows of a file in order; [] where there is none. A last line without its end is passed over.

    Raises:
      StudyError: a line is no row; says which.
    """
    if not path.exists():
        return []
    rows = []
    for number, line in enumerate(_whole(path.read_bytes()), start=1):
        try:
            rows.append(RunRow(**json.loads(line)))
        except (TypeError, ValueError) as error:
            raise StudyError(f"{path}: line {number} is no record of a run ({error})") from error
    return rows


def _whole(content: bytes) -> list[bytes]:
    """The lines that end."""
    return [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]
