"""What lies beside written code: the prepared data, and the teacher as a program that runs with torch alone."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from autokd import batching
from autokd.data import Dataset, with_finer
from autokd.delivery.subject import Subject
from autokd.engine.evaluate import answers_on
from autokd.engine.views import to_device
from autokd.errors import ComponentError, TeacherError, one_line
from autokd.exports.program import as_bytes, traced
from autokd.files import write_bytes
from autokd.lazy import loaded
from autokd.networks.inputs import feed_of
from autokd.teaching.taught import is_taught, load_described
from autokd.types import Split, Task, Teacher

Answers = Literal["", "stored", "live"]
"""How written code has the teacher's answers: not at all, with the data, or by asking it."""
_CPU = torch.device("cpu")


def load_teacher(subject: Subject) -> Teacher | None:
    """Return the teacher of a pipeline; None where nothing reads it.

    Raises:
      TeacherError: there is none where one is needed, or it is another one.
    """
    file = subject.pipeline
    if not (file.spec.needs_teacher or file.spec.copies_teacher):
        return None
    if file.teacher is None:
        raise TeacherError("a loss reads a teacher, but the pipeline file names none")
    teacher = load_described(file.teacher, subject.data, _CPU)
    if not is_taught(file.teacher) and file.teacher_fingerprint not in (None, teacher.fingerprint):
        raise TeacherError(
            f"the teacher has changed: its fingerprint is {teacher.fingerprint}, not that of {subject.source}"
        )
    return teacher


def data_of(subject: Subject, teacher: Teacher | None) -> Dataset:
    """Return the data, with what the teacher sees of them.

    Raises:
      ComponentError: some samples have no label, or those of validation are trained on, too.
    """
    if subject.pipeline.all_data:
        raise ComponentError("train.all_data: what is written here scores each epoch on validation; take it out")
    data = with_finer(subject.data, teacher)
    if data.train.labelled is not None:
        raise ComponentError("some training samples have no label")
    return data


def how_answered(parts: Iterable[str], teacher: Teacher | None, data: Dataset, *, changes: bool) -> Answers:
    """Return how written code has the answers that it reads.

    Args:
      parts: of the teacher's output that losses read.
      teacher: the teacher.
      data: with what the teacher sees.
      changes: whether samples are changed at random before the student sees them.

    Raises:
      ComponentError: it would have to ask a teacher that cannot be asked there.
    """
    read = set(parts)
    if teacher is None or not read:
        return ""
    if not changes and read <= {"logits", "pooled"}:
        return "stored"
    if data.train.finer is not None:
        raise ComponentError(
            "the teacher sees finer pictures than the student, and they would have to be augmented alike"
        )
    return "live"


def write_data(path: Path, data: Dataset, teacher: Teacher | None, answers: Answers, parts: Iterable[str]) -> None:
    """Write the prepared splits as one .npz file: `train_inputs`, `train_labels`, …, `mean`, `std`, and the teacher's
    answers to the training samples where they are stored.
    """
    splits = {"train": data.train, "validation": data.validation, "test": data.read_test()}
    arrays = {name: value for split, each in splits.items() for name, value in _arrays(split, each).items()}
    arrays |= {name: constant.numpy() for name, constant in feed_of(data.task).constants.items()}
    if answers == "stored":
        assert teacher is not None
        outputs = answers_on(teacher, to_device(data.train, data.task, _CPU)).outputs
        arrays["teacher_logits"] = outputs.logits.numpy()
        if "pooled" in parts and outputs.pooled is not None:
            arrays["teacher_pooled"] = outputs.pooled.numpy()
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_bytes(path, content.getvalue())


def _arrays(name: str, split: Split) -> dict[str, Any]:
    inputs = loaded(batching.single(split.inputs))
    return {f"{name}_inputs": inputs.numpy(), f"{name}_labels": split.labels.numpy()}


def teacher_program(teacher: Teacher, task: Task, parts: Iterable[str]) -> bytes:
    """Return a teacher as a torch.export program: normalised samples [B, …] -> logits, pooled or None, features.

    Raises:
      ComponentError: torch.export cannot trace it.
    """
    try:
        return as_bytes(traced(_Asked(teacher, frozenset(parts)), task))
    except Exception as error:  # whatever a teacher's own code raises while it is traced
        raise ComponentError(f"the teacher ({teacher.origin}) cannot be exported: {one_line(error)}") from error


class _Asked(nn.Module):
    """A teacher as a module.

    Args:
      teacher: the teacher.
      parts: of its output that are given beside the logits.
    """

    def __init__(self, teacher: Teacher, parts: frozenset[str]) -> None:
        super().__init__()
        self.teacher, self.parts = teacher, parts
        for name, value in vars(teacher).items():
            if isinstance(value, nn.Module):
                self.add_module(f"of_{name}", value)

    def forward(self, inputs: Tensor) -> tuple[Tensor | None, ...]:
        """Return logits, pooled or None, and the features, if any."""
        output = self.teacher.predict(inputs)
        features = output.features if "features" in self.parts else ()
        return (output.logits, output.pooled if "pooled" in self.parts else None, *features)
