"""A student as the ONNX model that is deployed, in float or in 8 bits: what the exports in ONNX have in common."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from autokd.delivery.int8 import keep_int8, measure_int8
from autokd.delivery.student import Student
from autokd.delivery.subject import Subject
from autokd.graphs.network import network_graph
from autokd.graphs.quantise import calibration_samples, quantise
from autokd.graphs.running import expect_same
from autokd.graphs.whole import Whole, whole_graph

if TYPE_CHECKING:
    from onnx import ModelProto

_SHOWN, _WIDTH = 8, 160
"""Inputs that are told of where there are many, and letters of what is told of one."""


class Deployed(NamedTuple):
    """A model, and what was measured of it.

    Args:
      whole: the model.
      measured: sentences about it; () in float.
      keep: keeps the measured values in the bundle; to be called once the model is on disk.
    """

    whole: Whole
    measured: Sequence[str] = ()
    keep: Callable[[], None] = lambda: None

    @property
    def takes(self) -> tuple[str, ...]:
        """What the inputs take, a line for each of the first ones."""
        told = (f"input {name}: {takes}" for name, takes in self.whole.form.takes.items())
        return tuple(textwrap.shorten(each, _WIDTH, placeholder=" …") for each in told)[:_SHOWN]


def float_network(student: Student) -> ModelProto:
    """Return the graph of a student's network, which says what the network says.

    Raises:
      MissingDependency: onnx or onnxruntime is not installed.
      ComponentError: the network has no form in ONNX.
    """
    name = f"the student {student.name}"
    network = network_graph(student.network, student.task, name=name)
    expect_same(network, student.network, student.task, name=name)
    return network


def around(student: Student, network: ModelProto) -> Whole:
    """Return the model around a network's graph.

    Raises:
      ComponentError: the student's kind of input has no form in ONNX.
    """
    return whole_graph(network, student.task, student.preprocess, temperature=student.temperature)


def in_int8(subject: Subject, network: ModelProto) -> Deployed:
    """Return a student's model in 8 bits, calibrated on training samples, and what that costs.

    Args:
      subject: the student and its data.
      network: its graph in float.

    Raises:
      ComponentError: the network has no form in 8 bits, or its kind of input none in ONNX.
      DataError: the data to calibrate on cannot be read.
    """
    student = subject.student
    samples = calibration_samples(subject.data.train, student.task)
    quantised = quantise(network, samples, name=f"the student {student.name}")
    whole = around(student, quantised)
    sizes = {"float_size": around(student, network).model.ByteSize(), "size": whole.model.ByteSize()}
    measured = measure_int8(subject, network, quantised, **sizes)
    return Deployed(whole, measured.told, lambda: keep_int8(subject, measured))
