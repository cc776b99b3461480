"""A program of torch.export, which runs with torch alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from autokd.declarations import Export
from autokd.delivery.student import Student
from autokd.delivery.subject import Subject, Written
from autokd.errors import BundleError, one_line
from autokd.exports.program import as_bytes, traced
from autokd.files import write_bytes
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
        try:
            program = traced(Calibrated(student.module, student.temperature), student.task)
        except Exception as error:  # whatever a student's own code raises while it is traced
            raise BundleError(f"the student {student.name} cannot be exported: {one_line(error)}") from error

        def write(path: Path) -> Written:
            write_bytes(path, as_bytes(program, {ABOUT: _about(student)}))
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


def _about(student: Student) -> str:
    """What a user has to know to call it, as JSON: classes by index, and what a sample is."""
    return json.dumps({"classes": list(student.classes), "input": student.input}, ensure_ascii=False, indent=2)
