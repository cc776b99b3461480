"""A program of torch.export, which runs with torch alone."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from autokd import batching
from autokd.declarations import Export
from autokd.delivery.student import Student
from autokd.delivery.subject import Subject, Written
from autokd.errors import BundleError, one_line
from autokd.files import write_bytes
from autokd.networks.inputs import feed_of
from autokd.types import Inputs

ABOUT = "autokd.json"
"""Name of the description inside the file."""


@dataclass(frozen=True, kw_only=True)
class Pt2:
    """A torch.export program (.pt2) with the normalisation and the calibration temperature inside."""

    declares = Export(output="student.pt2")

    def build(self, subject: Subject) -> Callable[[Path], Written]:
        """Return what writes the program: samples [B, …] -> logits [B, C], whose softmax is calibrated.

        Samples are images as floats from 0 to 1, or the rows that the student's preprocessing gives.

        Raises:
          BundleError: torch.export cannot trace the student.
        """
        student = subject.student
        example = feed_of(student.task).example(2, None)
        try:
            program = torch.export.export(
                _compact(Calibrated(student.module, student.temperature)),
                (example,),
                dynamic_shapes=(_shapes(example),),
                strict=False,
            )
        except Exception as error:  # whatever a student's own code raises while it is traced
            raise BundleError(f"the student {student.name} cannot be exported: {one_line(error)}") from error

        def write(path: Path) -> Written:
            content = io.BytesIO()
            torch.export.save(program, content, extra_files={ABOUT: _about(student)})
            write_bytes(path, content.getvalue())
            return Written(
                (path,), (), f"torch.export.load({str(path)!r}).module()(inputs)  # in Python, with torch alone"
            )

        return write


class Calibrated(nn.Module):
    """A network whose logits are divided by a temperature."""

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, inputs: Inputs) -> Tensor:
        """Return logits [B, C]."""
        logits: Tensor = self.network(inputs)
        return logits / self.temperature


def _compact(module: nn.Module) -> nn.Module:
    """A copy in eval mode whose tensors are each in memory of their own and in the usual layout."""
    module = copy.deepcopy(module).eval()
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data = tensor.data.clone(memory_format=torch.contiguous_format)
    return module


def _shapes(example: Inputs) -> Any:
    """Say that the batch may have any length."""
    batch: Any = {0: torch.export.Dim("batch", min=1)}
    return batching.each(example, lambda _: batch)


def _about(student: Student) -> str:
    """What a user has to know to call it, as JSON: classes by index, and what a sample is."""
    return json.dumps({"classes": list(student.classes), "input": student.input}, ensure_ascii=False, indent=2)
