"""An ONNX model that takes raw samples: preprocessing, network, calibration and class names in one file (onnx.ai)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autokd.declarations import Export
from autokd.delivery.int8 import keep_int8, measure_int8
from autokd.delivery.student import Student
from autokd.delivery.subject import Subject, Written
from autokd.files import write_bytes
from autokd.graphs.network import network_graph
from autokd.graphs.quantise import calibration_samples, quantise
from autokd.graphs.running import expect_same
from autokd.graphs.whole import Whole, whole_graph

if TYPE_CHECKING:
    from onnx import ModelProto


@dataclass(frozen=True, kw_only=True)
class Onnx:
    """An ONNX model with the preprocessing, the calibration temperature and the class names inside.

    In 8 bits its network is quantised on training samples, and what that costs is measured and kept in the bundle.
    """

    declares = Export(output="student.onnx")

    int8: bool = False  # the network in 8 bits; the preprocessing stays as it is

    def build(self, subject: Subject) -> Callable[[Path], Written]:
        """Return what writes the model.

        Raises:
          MissingDependency: onnx or onnxruntime is not installed.
          ComponentError: the student, or its kind of input, has no form in ONNX, or none in 8 bits.
          DataError: the data to calibrate on cannot be read.
        """
        student = subject.student
        name = f"the student {student.name}"
        network = network_graph(student.network, student.task, name=name)
        expect_same(network, student.network, student.task, name=name)
        in_float = _whole(student, network)
        if not self.int8:
            return _writer(in_float)
        samples = calibration_samples(subject.data.train, student.task)
        quantised = quantise(network, samples, name=name)
        in_int8 = _whole(student, quantised)
        sizes = {"float_size": in_float.model.ByteSize(), "size": in_int8.model.ByteSize()}
        measured = measure_int8(subject, network, quantised, **sizes)
        return _writer(in_int8, measured.told, lambda: keep_int8(subject, measured))


def _whole(student: Student, network: ModelProto) -> Whole:
    """The model around a network's graph."""
    return whole_graph(network, student.task, student.preprocess, temperature=student.temperature)


def _writer(
    whole: Whole, measured: Sequence[str] = (), written: Callable[[], None] = lambda: None
) -> Callable[[Path], Written]:
    """What writes a model.

    Args:
      whole: the model.
      measured: what is to be known of it beside what it takes.
      written: called once it is on disk.
    """
    content = whole.model.SerializeToString()

    def write(path: Path) -> Written:
        write_bytes(path, content)
        written()
        takes = tuple(f"input {name}: {each}" for name, each in whole.form.takes.items())
        remarks = (*takes[:_SHOWN], *measured)
        return Written((path,), remarks, f"onnxruntime.InferenceSession({str(path)!r})  # in Python")

    return write


_SHOWN = 8
"""Inputs that are told of where there are many."""
