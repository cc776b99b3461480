"""A model in ONNX, through onnxruntime, on pictures or on the rows of a table: onnx:FILE (github.com/onnx/onnx)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pandas import DataFrame
from torch import Tensor, nn

from autokd import compat
from autokd.declarations import Teacher
from autokd.errors import TeacherError
from autokd.networks.class_names import by_name, teachers_task
from autokd.networks.fed import Fed, InputForm
from autokd.networks.freeze import foreign, freeze
from autokd.networks.state_file import file_fingerprint, teacher_file
from autokd.teachers.answers import as_logits
from autokd.teachers.row_models import RowModel, ask_about_rows
from autokd.types import ANY, BuildContext
from autokd.types import Teacher as AnyTeacher

_FLOATS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
_WORDS = ("prob", "logit", "score")
"""What outputs are called that have a number for each class."""
ROWS = 256
"""Rows asked about at a time."""


@dataclass(frozen=True, kw_only=True)
class OnnxTeacher(Fed):
    """A classifier exported to ONNX; its numbers are logits, or probabilities where they sum to 1.

    On pictures it takes one tensor [B, channels, height, width] and is fed like any other network. On tables it reads
    rows as `pandas.read_csv` would: one tensor of all columns in the data's order, or one input a column by its name,
    as skl2onnx writes them.
    """

    declares = Teacher(modalities=ANY)

    file: str  # .onnx
    classes: tuple[str, ...] = ()  # names in the order of its outputs, where they are not the data's in their order

    def build(self, context: BuildContext) -> AnyTeacher:
        """Return the teacher.

        Raises:
          MissingDependency: onnxruntime is not installed.
          TeacherError: the file is no such model, or the model does not fit the data.
        """
        path = teacher_file(self.file)
        session = _session(path)
        if context.samples is not None and context.samples.table is not None:
            model = RowModel(
                answer=lambda table: _of_rows(session, table),
                source=str(path),
                said="auto",
                columns=[each.name for each in session.get_inputs()] if len(session.get_inputs()) > 1 else [],
                width=_width(session),
            )
            return ask_about_rows(model, context, self.classes, file_fingerprint(path))
        own = teachers_task(context.task, self.classes, (), str(path))
        side = _side(session)
        said = InputForm(size=side if side and [side] * 2 != list(context.task.input_shape)[1:] else 0)
        teacher = freeze(
            OnnxNetwork(session),
            own,
            source=str(path),
            identity={"onnx": file_fingerprint(path)},
            inputs=self.form(said),
        )
        return by_name(teacher, own, context.task)


class OnnxNetwork(nn.Module):
    """A session as a network: [B, channels, height, width] -> logits [B, C]; computed on the CPU.

    Args:
      session: of onnxruntime, with one input.
    """

    def __init__(self, session: Any) -> None:
        super().__init__()
        if len(session.get_inputs()) != 1 or session.get_inputs()[0].type not in _FLOATS:
            found = ", ".join(f"{each.name} {each.type}" for each in session.get_inputs())
            raise TeacherError(f"the model has the inputs {found}; on pictures it takes one tensor of floats")
        self.session = session
        self.last = _channels_last(session.get_inputs()[0].shape)

    def forward(self, x: Tensor) -> Tensor:
        """Answer a batch."""
        images = x.detach().cpu()
        images = images.permute(0, 2, 3, 1) if self.last else images
        values = _asked(self.session, {self.session.get_inputs()[0].name: images.numpy()})
        return as_logits(values, "auto" if _sums_to_one(values) else "logits", "onnx").logits.to(x.device)


def _sums_to_one(values: NDArray[np.float64]) -> bool:
    return bool((values >= 0).all()) and bool(np.allclose(values.sum(1), 1, atol=1e-3))


def _session(path: Path) -> Any:
    runtime = compat.import_module("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = max(1, torch.get_num_threads())
    options.log_severity_level = 3
    with foreign(f"{path} is no model in ONNX that onnxruntime reads"):
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _asked(session: Any, arrays: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """What a model says [n, C]; of a batch at a time where it takes batches of one size only."""
    typed = {each.name: arrays[each.name].astype(_FLOATS.get(each.type, object)) for each in session.get_inputs()}
    count, fixed = len(next(iter(typed.values()))), session.get_inputs()[0].shape[0]
    step = fixed if isinstance(fixed, int) else ROWS
    answers = []
    for start in range(0, count, step):
        part = {name: array[start : start + step] for name, array in typed.items()}
        short = step - len(next(iter(part.values()))) if isinstance(fixed, int) else 0
        padded = {name: np.concatenate([array, array[-1:].repeat(short, 0)]) for name, array in part.items()}
        answers.append(_values(session.run([_output(session)], padded)[0])[: step - short])
    return np.concatenate(answers)


def _output(session: Any) -> str:
    """The name of the output that has a number for each class."""
    outputs = session.get_outputs()
    named = [each.name for each in outputs if any(word in each.name.lower() for word in _WORDS)]
    floats = [each.name for each in outputs if each.type in _FLOATS]
    return str((named or floats or [outputs[-1].name])[0])


def _values(answer: Any) -> NDArray[np.float64]:
    """Numbers [n, C] or [n], from a tensor or from a list of {class: probability}."""
    if isinstance(answer, list):
        return np.array([list(row.values()) for row in answer], dtype=np.float64)
    return np.asarray(answer, dtype=np.float64)


def _of_rows(session: Any, table: DataFrame) -> NDArray[np.float64]:
    first, *others = session.get_inputs()
    if not others:
        return _asked(session, {first.name: table.to_numpy()})
    return _asked(session, {str(name): table[name].to_numpy().reshape(-1, 1) for name in table.columns})


def _width(session: Any) -> int:
    shape = session.get_inputs()[0].shape
    return shape[1] if len(session.get_inputs()) == 1 and len(shape) == 2 and isinstance(shape[1], int) else 0


def _side(session: Any) -> int:
    """The side in pixels that a model takes; 0 for any."""
    shape = list(session.get_inputs()[0].shape)
    side = shape[1 if _channels_last(shape) else 2] if len(shape) == 4 else 0
    return side if isinstance(side, int) else 0


def _channels_last(shape: Sequence[Any]) -> bool:
    return len(shape) == 4 and shape[3] in (1, 3) and shape[1] not in (1, 3)
