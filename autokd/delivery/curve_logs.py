"""The curve of a training while it runs, for whoever looks on: `curve.csv` beside the bundle, and TensorBoard.

The checkpoint is the truth: a training that goes on writes both anew from the curve in it, and then adds a line or a
step an epoch. So whatever a killed process had written, each epoch stands there once.
"""

from __future__ import annotations

import contextlib
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from autokd.compat import import_module
from autokd.engine.loop import OnEpoch
from autokd.errors import BundleError
from autokd.files import write_text
from autokd.metrics import METRICS

CSV = "curve.csv"
"""The file in the bundle's folder."""
_PARTS = {"terms": "loss", "gradient_norms": "gradient_norm"}
"""Of a line of the curve, what holds a value a loss, and how these are called."""


def scalars(line: Mapping[str, Any], objective: str) -> dict[str, float]:
    """Return the numbers of a line of the curve by name.

    Args:
      line: see `autokd.types.RungResult`.
      objective: name of the metric that its score is of.

    Example:
      >>> scalars({"epoch": 1, "loss": 0.5, "terms": {"ce": 0.5}, "score": -0.3}, "log_loss")
      {'loss': 0.5, 'loss/ce': 0.5, 'validation/log_loss': 0.3}
    """
    found: dict[str, float] = {}
    for key, value in line.items():
        if key in _PARTS:
            found |= {f"{_PARTS[key]}/{name}": number for name, number in value.items()}
        elif isinstance(value, Mapping):  # of a peer
            found |= {f"{key}/{name}": number for name, number in scalars(value, objective).items()}
        elif key == "score":
            found[f"validation/{objective}"] = METRICS[objective].value(value)
        elif isinstance(value, float):
            found[key] = value
    return found


@contextlib.contextmanager
def logged(
    folder: Path, curve: Sequence[Mapping[str, Any]], objective: str, tensorboard: Path | None, identity: str
) -> Iterator[OnEpoch]:
    """Write a curve so far, and yield what adds an epoch's line to it.

    Args:
      folder: of the bundle.
      curve: the lines of the epochs before.
      objective: name of the metric that scores are of.
      tensorboard: TensorBoard's folder; the curve is a run of the bundle's name there. None: it gets nothing.
      identity: tells this training from others of that name.

    Raises:
      MissingDependency: TensorBoard is not installed.
      BundleError: its folder holds another training of that name, or cannot be written.
    """
    table = _CsvLog(folder / CSV, curve, objective)
    with contextlib.ExitStack() as stack:
        board = None
        if tensorboard is not None:
            board = stack.enter_context(_board(tensorboard / folder.resolve().name, curve, objective, identity))

        def add(line: Mapping[str, Any]) -> None:
            table.add(line)
            if board is not None:
                board(line)

        yield add


class _CsvLog:
    """A curve as CSV, a line an epoch; a loss that begins later makes it write all lines again, with its column."""

    def __init__(self, path: Path, curve: Sequence[Mapping[str, Any]], objective: str) -> None:
        self._path, self._objective = path, objective
        self._rows = [self._row(line) for line in curve]
        self._columns: list[str] = []
        self._write()

    def add(self, line: Mapping[str, Any]) -> None:
        """Add the line of an epoch."""
        row = self._row(line)
        self._rows.append(row)
        if row.keys() <= set(self._columns):
            with self._path.open("a", encoding="utf-8", newline="") as file:
                file.write(self._text([row]))
        else:
            self._write()

    def _row(self, line: Mapping[str, Any]) -> dict[str, float]:
        return {"epoch": line["epoch"], **scalars(line, self._objective)}

    def _write(self) -> None:
        self._columns = list(dict.fromkeys(name for row in self._rows for name in row))
        if self._rows:
            write_text(self._path, self._text([dict(zip(self._columns, self._columns, strict=True)), *self._rows]))

    def _text(self, rows: Sequence[Mapping[str, Any]]) -> str:
        made = io.StringIO()
        csv.DictWriter(made, self._columns, lineterminator="\n").writerows(rows)
        return made.getvalue()


@contextlib.contextmanager
def _board(folder: Path, curve: Sequence[Mapping[str, Any]], objective: str, identity: str) -> Iterator[OnEpoch]:
    """Write a curve as a run of TensorBoard in a folder; see `logged`."""
    check_tensorboard()
    from torch.utils.tensorboard import SummaryWriter  # imports the package, which takes seconds

    ending = f".autokd-{identity}"
    try:
        for old in folder.glob("events.out.tfevents.*"):
            if not old.name.endswith(ending):
                raise BundleError(f"{folder} holds events of another training; give --tensorboard another folder")
            old.unlink()
        writer = SummaryWriter(str(folder), filename_suffix=ending, purge_step=1)
    except OSError as error:
        raise BundleError(f"cannot write in {folder}: {error.strerror or error}") from error

    def add(line: Mapping[str, Any]) -> None:
        for name, value in scalars(line, objective).items():
            writer.add_scalar(name, value, line["epoch"])
        writer.flush()

    with contextlib.closing(writer):
        for line in curve:
            add(line)
        yield add


def check_tensorboard() -> None:
    """Refuse to go on where TensorBoard's files cannot be written.

    Raises:
      MissingDependency: it is not installed.
    """
    import_module("tensorboard", "tensorboard")
