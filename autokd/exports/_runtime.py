"""A folder that predicts with onnxruntime, numpy and Pillow alone: the model, its classes, and a script to read."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from autokd._version import __version__
from autokd.declarations import Export
from autokd.delivery.deployed import Deployed, around, float_network, in_int8
from autokd.delivery.model_card import text
from autokd.delivery.student import Student
from autokd.delivery.subject import Subject, Written
from autokd.errors import ComponentError
from autokd.files import write_bytes, write_text
from autokd.graphs import running
from autokd.graphs.half import with_half_weights
from autokd.networks.inputs import feed_of

if TYPE_CHECKING:
    from onnx import ModelProto

_SAMPLES = 64
"""Made-up samples by which the two forms of the weights are compared."""
_ALIKE = 0.01
"""Difference of a probability from which on weights stay in 32 bits."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """A folder with model.onnx, predict.py, classes.txt and README.md; neither torch nor autokd is needed to run it.

    Weights are kept in 16 bits, unless that changes a probability of made-up samples by more than 0.01. In 8 bits the
    network is quantised as in the export `onnx`.
    """

    declares = Export(output="student")

    int8: bool = False  # the network in 8 bits; the preprocessing stays as it is

    def build(self, subject: Subject) -> Callable[[Path], Written]:
        """Return what writes the folder.

        Raises:
          MissingDependency: onnx or onnxruntime is not installed.
          ComponentError: the student, or its kind of input, has no form in ONNX, or no script that predicts.
          DataError: the data to calibrate on cannot be read.
        """
        student = subject.student
        network = float_network(student)
        deployed = in_int8(subject, network) if self.int8 else _compact(student, network)
        form = deployed.whole.form
        if form.script is None:
            raise ComponentError(f"there is no script that predicts {student.task.modality} data; take --format onnx")
        model, script = deployed.whole.model.SerializeToString(), form.script.read_text(encoding="utf-8")

        def write(path: Path) -> Written:
            path.mkdir(parents=True, exist_ok=True)
            write_bytes(path / "model.onnx", model)
            write_text(path / "predict.py", script)
            write_text(path / "classes.txt", "".join(f"{' '.join(each.split())}\n" for each in student.classes))
            write_text(path / "README.md", _readme(student, form.takes))
            deployed.keep()
            files = tuple(path / each for each in ("model.onnx", "predict.py", "classes.txt", "README.md"))
            return Written(files, tuple(deployed.measured), f"python {shlex.quote(str(path / 'predict.py'))} INPUT…")

        return write


def _compact(student: Student, network: ModelProto) -> Deployed:
    """A student's model in float, its weights in 16 bits where that is hardly seen."""
    small = with_half_weights(network)
    change = _change(network, small, student)
    return Deployed(around(student, small if change <= _ALIKE else network), (_said(change),))


def _change(network: ModelProto, small: ModelProto, student: Student) -> float:
    """By how much a probability of made-up samples changes at most."""
    inputs = feed_of(student.task).example(_SAMPLES, torch.Generator().manual_seed(0))
    first, second = (
        torch.from_numpy(running.logits(running.session(model, threads=1), inputs)).div(student.temperature).softmax(1)
        for model in (network, small)
    )
    return float((first - second).abs().max())


def _said(change: float) -> str:
    if change > _ALIKE:
        return f"weights are kept in 32 bits: in 16 bits a probability of made-up samples would change by {change:.2g}"
    return f"weights are kept in 16 bits, which changes a probability of made-up samples by at most {change:.1g}"


def _readme(student: Student, takes: Mapping[str, str]) -> str:
    """What the folder is and how it is used, in Markdown."""
    lines = [
        f"# {text(student.task.dataset)}",
        f"A {text(student.name)} classifier, written by autokd {__version__}. It tells {len(student.classes)} classes "
        "apart (`classes.txt`).",
        "```console\n$ pip install onnxruntime numpy pillow\n$ python predict.py INPUT... > predictions.csv\n```",
        "The inputs of `model.onnx`, for programs in other languages:",
        "\n".join(f"- {text(name)}: {text(each)}" for name, each in takes.items()),
    ]
    return "\n\n".join(lines) + "\n"
