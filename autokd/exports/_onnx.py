"""An ONNX model that takes raw samples: preprocessing, network, calibration and class names in one file (onnx.ai)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autokd.declarations import Export
from autokd.delivery.subject import Subject, Written
from autokd.files import write_bytes
from autokd.graphs.network import network_graph
from autokd.graphs.running import expect_same
from autokd.graphs.whole import whole_graph


@dataclass(frozen=True, kw_only=True)
class Onnx:
    """An ONNX model with the preprocessing, the calibration temperature and the class names inside."""

    declares = Export(output="student.onnx")

    def build(self, subject: Subject) -> Callable[[Path], Written]:
        """Return what writes the model.

        Raises:
          MissingDependency: onnx or onnxruntime is not installed.
          ComponentError: the student, or its kind of input, has no form in ONNX.
        """
        student = subject.student
        network = network_graph(student.network, student.task, name=f"the student {student.name}")
        expect_same(network, student.network, student.task, name=f"the student {student.name}")
        whole = whole_graph(network, student.task, student.preprocess, temperature=student.temperature)
        content = whole.model.SerializeToString()

        def write(path: Path) -> Written:
            write_bytes(path, content)
            takes = tuple(f"input {name}: {each}" for name, each in whole.form.takes.items())
            return Written((path,), takes[:_SHOWN], f"onnxruntime.InferenceSession({str(path)!r})  # in Python")

        return write


_SHOWN = 8
"""Inputs that are told of where there are many."""
