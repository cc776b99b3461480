"""A student in 8 bits: measured beside its float form, and kept in its bundle."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from autokd.delivery.bundle import add_metrics, read_metrics
from autokd.delivery.student import Student
from autokd.delivery.subject import Subject
from autokd.engine.views import to_device
from autokd.graphs import running
from autokd.graphs.answers import predict_graph
from autokd.graphs.quantise import CALIBRATION, METHOD
from autokd.networks.models import state_fingerprint
from autokd.study.int8 import Beside, Int8, beside, int8_of
from autokd.study.split_reads import INT8, SplitRead, note_read, reads_of_test
from autokd.types import Split

if TYPE_CHECKING:
    from onnx import ModelProto

_log = logging.getLogger("autokd")


def measure_int8(subject: Subject, in_float: ModelProto, in_int8: ModelProto, *, float_size: int, size: int) -> Int8:
    """Measure a student in 8 bits beside itself in float.

    Validation is looked at; test only where the bundle has the float student's own figure on it already, and then once.

    Args:
      subject: the student and its data.
      in_float, in_int8: its network's graphs.
      float_size, size: of the whole files, bytes.
    """
    student, data = subject.student, subject.data
    weights, before = state_fingerprint(student.network.state_dict()), _before(subject)
    test = before.test if before is not None and before.weights == weights else None
    if test is None and _has_own_test(subject):
        _note_read(subject)
        test = _compare(student, in_int8, data.read_test())
    example = running.example(student.task)
    times = [running.latency(running.session(each, threads=1), example) for each in (in_float, in_int8)]
    return Int8(
        validation=_compare(student, in_int8, data.validation),
        test=test,
        size=size,
        float_size=float_size,
        latency=round(times[1], 4),
        float_latency=round(times[0], 4),
        calibration=min(CALIBRATION, len(data.train)),
        method=METHOD,
        runtime=f"onnxruntime {importlib.metadata.version('onnxruntime')}",
        weights=weights,
        seen=subject.pipeline.all_data,
    )


def keep_int8(subject: Subject, measured: Int8) -> None:
    """Write what was measured into the bundle's metrics and model card; one that is read-only stays as it is."""
    if subject.bundle is None:
        return
    try:
        add_metrics(subject.bundle, {"int8": measured.to_plain()})
    except OSError as error:
        _log.warning("%s stays as it is: %s", subject.bundle, error.strerror or error)


def _compare(student: Student, in_int8: ModelProto, split: Split) -> Beside:
    data = to_device(split, student.task, torch.device("cpu"))
    labels = split.labels.cpu()
    answers = student.logits(split.inputs), predict_graph(in_int8, data)
    right: list[NDArray[np.bool_]] = [(each.argmax(1) == labels).numpy() for each in answers]
    return beside(*right)


def _metrics(subject: Subject) -> dict[str, Any]:
    return {} if subject.bundle is None else read_metrics(subject.bundle) or {}


def _before(subject: Subject) -> Int8 | None:
    return int8_of(_metrics(subject))


def _has_own_test(subject: Subject) -> bool:
    """Whether the bundle says how this very student does on test in float."""
    return _is_own(**_test_of(**_metrics(subject)))


def _test_of(*, test: Mapping[str, Any] | None = None, **_: Any) -> Mapping[str, Any]:
    return test or {}


def _is_own(*, n: int = 0, note: str = "", **_: Any) -> bool:
    """Whether values on test are of this student: those of the claim, which a note tells of, are of others."""
    return n > 0 and not note


def _note_read(subject: Subject) -> None:
    """Note the read of the test split in the study that the bundle lies in, if it lies in one."""
    assert subject.bundle is not None
    study = subject.bundle.resolve().parent
    reads = reads_of_test(study)
    if reads:
        note_read(study, SplitRead(INT8, reads[-1].round))
