"""The test split, read once a claim: what every claimed student and the teacher answer there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from autokd.engine.build import build_student
from autokd.engine.evaluate import predict, predict_teacher
from autokd.engine.views import DeviceData, to_device
from autokd.files import write_tensors
from autokd.graphs.answers import int8_graph, predict_graph
from autokd.metrics import Metric, Predictions, predictions
from autokd.networks.models import seeded
from autokd.search.confirm.plain_models import plain_logits
from autokd.search.confirm.round import Round
from autokd.search.samples import keep_disputed
from autokd.spec import from_plain
from autokd.study import comparison
from autokd.study.answers import answers_file
from autokd.study.claim import Comparison, SplitValues
from autokd.study.comparison import Pair
from autokd.study.plain_models import PLAIN
from autokd.study.records import RunRecord
from autokd.study.split_reads import CLAIM, SplitRead, note_read


class Answers(NamedTuple):
    """What was answered on the test split, and by the teacher on validation.

    Args:
      students: by arm, one a seed; None for a run that failed.
      teacher: by split, or None.
      counts: items of each class on the test split.
    """

    students: dict[str, list[Predictions | None]]
    teacher: dict[str, Predictions] | None
    counts: tuple[int, ...]

    @property
    def items(self) -> int:
        """Items of the test split."""
        return sum(self.counts)

    def values(self, metric: Metric) -> dict[str, list[float]]:
        """Return a metric's values by arm, one a seed; a run that failed counts the worst."""
        return {arm: [metric.worst if a is None else metric.of(a) for a in row] for arm, row in self.students.items()}

    def teacher_values(self, metric: Metric) -> SplitValues | None:
        """Return the teacher's values by split."""
        if self.teacher is None:
            return None
        return SplitValues(**{name: metric.of(answers) for name, answers in self.teacher.items()})

    def compare(self, metric: Metric, pairs: Sequence[Pair]) -> dict[str, Comparison]:
        """Compare arms; return the comparisons by the name of the other arm."""
        if metric.counts_right:
            correct = {
                name: np.stack([self._correct(answers) for answers in row]) for name, row in self.students.items()
            }
            return {pair.other: comparison.compare(correct, pair) for pair in pairs}
        measured = comparison.measure(metric, self.students)
        return {pair.other: comparison.compare_measured(metric, measured, pair) for pair in pairs}

    def _correct(self, answers: Predictions | None) -> NDArray[np.bool_]:
        """Whether each item is right; with a run that failed none is."""
        if answers is None:
            return np.zeros(self.items, dtype=bool)
        return np.asarray((answers.predicted == answers.labels).numpy())


def read_test(
    round: Round, claimed: Mapping[str, Sequence[RunRecord]], file: Callable[[str, int], Path], use: str
) -> Answers:
    """Read the test split, once, and ask every claimed student and the teacher about it.

    All logits are kept in the study's folder, in half precision, so that no later analysis reads the split again; what
    is claimed is measured on them as they are.

    Args:
      round: of confirm.
      claimed: the claim's runs by arm, one a seed.
      file: where the i-th student of an arm is kept.
      use: name of the recommended arm.
    """
    note_read(round.folder, SplitRead(CLAIM, round.number))
    task, device = round.context.data.task, round.context.device
    test = round.context.data.read_test()
    splits = {"validation": round.context.validation_data, "test": to_device(test, task, device)}
    labels = {name: data.labels.cpu() for name, data in splits.items()}
    logits = {
        f"{arm}/{i}/{name}": answers
        for arm, runs in claimed.items()
        for i, run in enumerate(runs)
        for name, answers in _predict(round, run, file(run.arm, i), splits).items()
    }
    logits |= dict(_teacher_logits(round, splits))
    if round.context.teacher is not None:
        disputed = logits[f"{use}/0/test"], logits["teacher/test"]
        keep_disputed(round.folder, round.number, round.context.data, test, disputed)
    answers = _answers(logits, labels, claimed, taught=round.context.teacher is not None)
    held = {"validation": round.context.data.validation, "test": test}
    logits |= {f"{PLAIN}/{name}": each for name, each in plain_logits(round.context.data, held)}
    halves = {name: tensor.half() for name, tensor in logits.items()}
    kept = {**{f"labels/{name}": tensor for name, tensor in labels.items()}, **halves}
    write_tensors(answers_file(round.folder, round.number), kept)
    return answers


def _answers(
    logits: Mapping[str, Tensor],
    labels: Mapping[str, Tensor],
    claimed: Mapping[str, Sequence[RunRecord]],
    *,
    taught: bool,
) -> Answers:
    on_test = labels["test"]
    students = {
        arm: [None if run.failure else predictions(logits[f"{arm}/{i}/test"], on_test) for i, run in enumerate(runs)]
        for arm, runs in claimed.items()
    }
    teacher = {name: predictions(logits[f"teacher/{name}"], labels[name]) for name in labels} if taught else None
    classes = next(iter(logits.values())).shape[1]
    return Answers(students, teacher, tuple(on_test.bincount(minlength=classes).tolist()))


def _teacher_logits(round: Round, splits: Mapping[str, DeviceData]) -> Iterator[tuple[str, Tensor]]:
    teacher = round.context.teacher
    if teacher is not None:
        yield from ((f"teacher/{name}", predict_teacher(teacher, data)) for name, data in splits.items())


def _predict(round: Round, run: RunRecord, file: Path, splits: Mapping[str, DeviceData]) -> dict[str, Tensor]:
    """The run's logits by split, in 8 bits where the claim is about that; zeros where it failed."""
    data, spec = round.context.data, from_plain(run.pipeline)
    task = data.task
    if run.failure is not None:
        return {name: torch.zeros(len(split.labels), task.num_classes) for name, split in splits.items()}
    with seeded(run.seed):
        student = build_student(spec.student, task, round.context.device, head=spec.head, teacher=round.offers)
    student.load_state_dict(load_file(file))
    if not round.objective.metric.quantised:
        return {name: predict(student, split) for name, split in splits.items()}
    graph = int8_graph(student, task, data.train)
    return {name: predict_graph(graph, split) for name, split in splits.items()}
