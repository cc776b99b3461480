"""A model in ONNX, through onnxruntime, on pictures or on the rows of a table: onnx:FILE (github.com/onnx/onnx)."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pandas import DataFrame
from torch import Tensor, nn

from autokd import compat
from autokd.declarations import Teacher
from autokd.errors import TeacherError
from autokd.networks.class_list import KEYS, names_of
from autokd.networks.class_names import by_name, teachers_task
from autokd.networks.fed import Fed, InputForm
from autokd.networks.freeze import foreign, freeze
from autokd.networks.state_file import file_fingerprint, teacher_file
from autokd.teachers.answers import as_logits
from autokd.teachers.row_models import RowModel, ask_about_rows
from autokd.types import ANY, BuildContext
from autokd.types import Teacher as AnyTeacher

_FLOATS = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}
_TYPES = {
    **_FLOATS,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}
_LABELS = ("tensor(string)", "tensor(int64)", "tensor(int32)")
"""Types of outputs that hold a class a sample."""
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

    def own_classes(self) -> tuple[str, ...]:
        """Return the names of its classes in the file's metadata."""
        return _names_in(_session(teacher_file(self.file)))

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
        own = teachers_task(context.task, self.classes, _names_in(session), str(path))
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
        values = _asked(self.session, {self.session.get_inputs()[0].name: images.numpy()}).numbers
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


class _Outputs(NamedTuple):
    """The outputs of a model that are asked for.

    Args:
      numbers: that hold a number for each class: one, or one for each class.
      label: that holds the class of each sample; "" for none.
    """

    numbers: list[str]
    label: str = ""


def _outputs(session: Any) -> _Outputs:
    outputs = session.get_outputs()
    labels = [each.name for each in outputs if each.type in _LABELS and "label" in each.name.lower()]
    label = labels[0] if labels else ""
    rest = [each for each in outputs if each.name != label]
    floats = [each for each in rest if each.type in _FLOATS]
    if len(floats) > 1 and all(len(each.shape) == 1 or list(each.shape[1:]) == [1] for each in floats):
        return _Outputs([each.name for each in floats], label)  # as skl2onnx writes them with zipmap="columns"
    named = [each.name for each in rest if any(word in each.name.lower() for word in _WORDS)]
    return _Outputs([(named or [each.name for each in floats] or [outputs[-1].name])[0]], label)


class _Said(NamedTuple):
    """What a model says.

    Args:
      numbers: [n, C].
      names: of their classes; () where they have none.
      labels: [n], what it calls each sample; [0] where it does not.
    """

    numbers: NDArray[np.float64]
    names: Sequence[str]
    labels: NDArray[Any]


def _asked(session: Any, arrays: dict[str, NDArray[Any]]) -> _Said:
    """Ask a model, about a batch at a time where it takes batches of one size only."""
    typed = {each.name: _typed(arrays[each.name], each.type) for each in session.get_inputs()}
    count, fixed = len(next(iter(typed.values()))), session.get_inputs()[0].shape[0]
    step = fixed if isinstance(fixed, int) else ROWS
    asked, answers, labels = _outputs(session), [], []
    names: list[Any] = []
    for start in range(0, count, step):
        part = {name: array[start : start + step] for name, array in typed.items()}
        short = step - len(next(iter(part.values()))) if isinstance(fixed, int) else 0
        padded = {name: np.concatenate([array, array[-1:].repeat(short, 0)]) for name, array in part.items()}
        *found, label = session.run([*asked.numbers, asked.label or asked.numbers[0]], padded)
        names = names or _keys(found[0])
        answers.append(_values(found, names)[: step - short])
        labels.append(np.asarray(label)[: step - short] if asked.label else np.zeros(0))
    return _Said(np.concatenate(answers), list(map(str, names)), np.concatenate(labels))


def _typed(values: NDArray[Any], kind: str) -> NDArray[Any]:
    """Values of the type of an input: text where that is text, what is missing as "nan"."""
    if kind in _TYPES:
        return values.astype(_TYPES[kind])
    return np.array([[str(cell) for cell in row] for row in values], dtype=object)


def _keys(answer: Any) -> list[Any]:
    """The classes of a list of {class: probability}; [] of a tensor."""
    return list(answer[0]) if isinstance(answer, list) else []


def _values(answers: Sequence[Any], keys: Sequence[Any]) -> NDArray[np.float64]:
    """Numbers [n, C], from tensors [n, C], [n, 1] or [n], or from a list of {class: probability} with such keys."""
    if keys:
        return np.array([[row[key] for key in keys] for row in answers[0]], dtype=np.float64)
    found = [np.asarray(answer, dtype=np.float64) for answer in answers]
    return np.concatenate([each[:, None] if each.ndim == 1 else each for each in found], axis=1)


def _names_in(session: Any) -> tuple[str, ...]:
    """The names of the classes that a model's metadata hold, as some exporters write them; () for none."""
    metadata = session.get_modelmeta().custom_metadata_map
    for key in KEYS:
        with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            names = names_of(ast.literal_eval(metadata.get(key, "()")))
            if names:
                return names
    return ()


def _names_by(values: NDArray[np.float64], labels: NDArray[Any]) -> list[str]:
    """The names of all classes, by what a model calls the samples whose largest number is theirs; [] where unclear."""
    if not len(labels) or values.shape[1] < 2:
        return []
    top = np.sort(values, axis=1)
    alone, best = top[:, -1] > top[:, -2], values.argmax(1)
    found = [{str(name) for name in labels.reshape(-1)[alone & (best == place)]} for place in range(values.shape[1])]
    return [name for names in found for name in names] if all(len(names) == 1 for names in found) else []


def _of_rows(session: Any, table: DataFrame) -> DataFrame | NDArray[np.float64]:
    """What a model says of rows whose columns are its inputs; columns are called by the classes where it names them."""
    asked = session.get_inputs()
    whole = {asked[0].name: table.to_numpy()}
    one_each = {each.name: table.iloc[:, [place]].to_numpy() for place, each in enumerate(asked)}
    said = _asked(session, whole if len(asked) == 1 else one_each)
    names = said.names or _names_in(session) or _names_by(said.numbers, said.labels)
    named = len(names) == said.numbers.shape[1] > 1
    return DataFrame(said.numbers, columns=list(names)) if named else said.numbers


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
