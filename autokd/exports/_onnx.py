"""An ONNX model that takes raw samples: preprocessing, network, calibration and class names in one file (onnx.ai)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autokd.declarations import Export
from autokd.delivery.deployed import Deployed, around, float_network, in_int8
from autokd.delivery.subject import Subject, Written
from autokd.files import write_bytes


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
        network = float_network(subject.student)
        deployed = in_int8(subject, network) if self.int8 else Deployed(around(subject.student, network))
        content = deployed.whole.model.SerializeToString()

        def write(path: Path) -> Written:
            write_bytes(path, content)
            deployed.keep()
            remarks = (*deployed.takes, *deployed.measured)
            return Written((path,), remarks, f"onnxruntime.InferenceSession({str(path)!r})  # in Python")

        return write
