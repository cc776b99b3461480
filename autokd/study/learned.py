"""Whether students learnt what the teacher knows: what each answered on the test split when the claim was made.

All comes from the logits that the claim keeps; nothing is read again. An arm's figures are means over its seeds; a
teacher's temperature and a student's are fitted on validation.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from autokd.calibration import BINS, Bin, bin_of, calibration_error, fit_temperature, reliability, softmax
from autokd.study.answers import read_answers, written
from autokd.study.resampling import Interval, error_interval, mean_interval

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
TEACHER = "teacher"
FARTHEST = 3.0
"""Standard deviations by which a class must lie below the mean to be called out."""


class Between(NamedTuple):
    """95 % intervals of what an arm answered, over test items and seeds.

    Args:
      agreement: with the teacher; None without one.
      calibration_error, calibrated_error: before and after its temperature.
      by_class: of the accuracy on each class; None where it has no items.
    """

    agreement: Interval | None
    calibration_error: Interval
    calibrated_error: Interval
    by_class: list[Interval | None]

    @property
    def apart(self) -> Interval | None:
        """Of the share of the items on which its answer is not the teacher's; None without one."""
        return None if self.agreement is None else (1 - self.agreement[1], 1 - self.agreement[0])


class Apart(NamedTuple):
    """Who is right where a student's answer is not the teacher's, shares of these items, means over seeds."""

    student: float
    teacher: float


class Answered(NamedTuple):
    """What an arm, or the teacher, answered on the test split.

    Args:
      name: of the arm, or "teacher".
      accuracy: 0 to 1.
      agreement: share of the items to which the teacher gives the same class, 0 to 1; None without a teacher.
      divergence: Kullback-Leibler divergence of its probabilities from the teacher's, nats; None without a teacher.
      log_loss: nats.
      calibration_error: 0 to 1, of softmax(logits).
      temperature: the one that fits validation best.
      calibrated_error: the calibration error with that temperature.
      by_class: [C] accuracy on the items of each class; NaN where there is none.
      bins, calibrated_bins: of a reliability diagram, over the items of all seeds, before and after the temperature.
      confusion: [C, C] how often class i was taken for class j, mean over seeds.
      between: intervals.
      apart: who is right where it differs from the teacher; None where they never do, and without a teacher.
    """

    name: str
    accuracy: float
    agreement: float | None
    divergence: float | None
    log_loss: float
    calibration_error: float
    temperature: float
    calibrated_error: float
    by_class: Floats
    bins: list[Bin]
    calibrated_bins: list[Bin]
    confusion: Floats
    between: Between
    apart: Apart | None

    @property
    def confusions(self) -> list[tuple[int, int, float]]:
        """Class, the class that it was taken for, and in how many items, the most frequent first."""
        wrong = self.confusion * (1 - np.eye(len(self.confusion)))
        pairs = [(int(i), int(j), float(wrong[i, j])) for i, j in zip(*np.nonzero(wrong), strict=True)]
        return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))


class Learned(NamedTuple):
    """What a claim's students and the teacher answered.

    Args:
      arms: by name, as they were claimed.
      teacher: None without one.
      agreement: share of the items to which two of them give the same class, by their names: mean over seeds of the
        same number, of an arm with itself over pairs of different seeds; the teacher has one. An arm of one seed is
        not there with itself.
      agrees: by arm, [S, N] whether the student of a seed gives the teacher's answer to an item; {} without one.
      counts: [C] items of each class on test.
    """

    arms: dict[str, Answered]
    teacher: Answered | None
    agreement: dict[tuple[str, str], float]
    agrees: dict[str, NDArray[np.bool_]]
    counts: Labels

    def worst_class(self, name: str) -> tuple[int, float] | None:
        """Return the class on which an arm lies farthest below its mean, and how far in standard deviations.

        The spread is that of a share of so many items. None where no class lies 3 of them below.
        """
        arm, there = self.arms[name], self.counts > 0
        error = np.sqrt(arm.accuracy * (1 - arm.accuracy) / np.maximum(self.counts, 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            below = np.where(there, (arm.accuracy - arm.by_class) / error, -np.inf)
        worst = int(np.argmax(below))
        return (worst, float(below[worst])) if below[worst] > FARTHEST else None


def learned(file: Path, arms: Mapping[str, int]) -> Learned | None:
    """Return what the students of a claim answered, or None where nothing is kept.

    Args:
      file: the logits of the claim's round (`autokd.study.answers.answers_file`).
      arms: by name how many runs each has.
    """
    state = written(file)
    return None if state is None else _learned(file, tuple(arms.items()), state)


@functools.lru_cache(maxsize=2)
def _learned(file: Path, arms: tuple[tuple[str, int], ...], _: tuple[int, int]) -> Learned | None:
    """What was answered; temperatures and intervals are worked out once for a file that has not changed since."""
    read = read_answers(file)
    if read is None or not {"labels/validation", "labels/test"} <= read.keys():
        return None
    kept = {name: tensor.numpy() for name, tensor in read.items()}
    labels = {name: kept[f"labels/{name}"] for name in ("validation", "test")}
    found = {name: _runs(kept, name, count) for name, count in arms}
    runs = {name: made for name, made in found.items() if made}
    if not runs:
        return None
    teacher = _run(kept, TEACHER)
    everybody = {**runs, **({} if teacher is None else {TEACHER: [teacher]})}
    answered = {name: _answered(name, made, labels, teacher) for name, made in everybody.items()}
    return Learned(
        teacher=answered.pop(TEACHER, None),
        arms=answered,
        agreement=_agreements(everybody),
        agrees={} if teacher is None else {name: _agreeing(made, teacher) for name, made in runs.items()},
        counts=np.bincount(labels["test"], minlength=next(iter(runs.values()))[0].test.shape[1]),
    )


class _Run(NamedTuple):
    """Logits [N, C] of one network, by split."""

    validation: Floats
    test: Floats


def _run(kept: Mapping[str, Floats], name: str) -> _Run | None:
    return _Run(kept[f"{name}/validation"], kept[f"{name}/test"]) if f"{name}/test" in kept else None


def _runs(kept: Mapping[str, Floats], name: str, count: int) -> list[_Run]:
    """The runs of an arm that did not fail: of those that did the logits are zeros."""
    found = [_run(kept, f"{name}/{i}") for i in range(count)]
    return [run for run in found if run is not None and run.test.any()]


def _answered(name: str, runs: Sequence[_Run], labels: Mapping[str, Labels], teacher: _Run | None) -> Answered:
    on_test, classes = labels["test"], runs[0].test.shape[1]
    probabilities = [softmax(run.test) for run in runs]
    temperatures = [fit_temperature(run.validation, labels["validation"]) for run in runs]
    calibrated = [softmax(run.test / np.float64(t)) for run, t in zip(runs, temperatures, strict=True)]
    confusion = np.mean([_confusion(run.test.argmax(-1), on_test, classes) for run in runs], axis=0)
    return Answered(
        name=name,
        accuracy=float(confusion.diagonal().sum() / len(on_test)),
        agreement=None if teacher is None else _agree(runs, [teacher]),
        divergence=None if teacher is None else _divergence(softmax(teacher.test), probabilities),
        log_loss=-float(np.mean([_log(p[np.arange(len(on_test)), on_test]) for p in probabilities])),
        calibration_error=_error(probabilities, on_test),
        temperature=float(np.exp(np.mean(np.log(temperatures)))),
        calibrated_error=_error(calibrated, on_test),
        by_class=confusion.diagonal() / np.where(confusion.any(1), confusion.sum(1), np.nan),
        bins=reliability(np.concatenate(probabilities), np.tile(on_test, len(runs)), BINS),
        calibrated_bins=reliability(np.concatenate(calibrated), np.tile(on_test, len(runs)), BINS),
        confusion=confusion,
        between=Between(
            agreement=None if teacher is None else mean_interval(_agreeing(runs, teacher)),
            calibration_error=_error_interval(probabilities, on_test),
            calibrated_error=_error_interval(calibrated, on_test),
            by_class=_class_intervals(runs, on_test, classes),
        ),
        apart=None if teacher is None else _apart(runs, teacher, on_test),
    )


def _agreeing(runs: Sequence[_Run], teacher: _Run) -> NDArray[np.bool_]:
    """Whether each run gives the teacher's answer to each item, [S, N]."""
    known = teacher.test.argmax(-1)
    return np.array([run.test.argmax(-1) == known for run in runs])


def _error_interval(probabilities: Iterable[Floats], labels: Labels) -> Interval:
    return error_interval([_gaps(each, labels) for each in probabilities], BINS)


def _gaps(probabilities: Floats, labels: Labels) -> tuple[NDArray[np.int64], Floats]:
    """Bin of each item, and how far its confidence lies above its being right."""
    confidence = probabilities.max(-1)
    return bin_of(confidence), confidence - (probabilities.argmax(-1) == labels)


def _class_intervals(runs: Sequence[_Run], labels: Labels, classes: int) -> list[Interval | None]:
    right = np.array([run.test.argmax(-1) == labels for run in runs])
    there = [labels == number for number in range(classes)]
    return [mean_interval(right[:, rows]) if rows.any() else None for rows in there]


def _apart(runs: Sequence[_Run], teacher: _Run, labels: Labels) -> Apart | None:
    """Who is right where they differ; None where they never do."""
    known = teacher.test.argmax(-1)
    found = [(run.test.argmax(-1), run.test.argmax(-1) != known) for run in runs]
    items = sum(int(differs.sum()) for _, differs in found)
    if not items:
        return None
    student = sum(int((said == labels)[differs].sum()) for said, differs in found)
    taught = sum(int((known == labels)[differs].sum()) for _, differs in found)
    return Apart(student / items, taught / items)


def _agreements(runs: Mapping[str, Sequence[_Run]]) -> dict[tuple[str, str], float]:
    """How often any two of them agree, and two runs of the same one."""
    pairs = {(one, other): _agree(runs[one], runs[other]) for one in runs for other in runs if one != other}
    return pairs | {(one, one): _agree_among(made) for one, made in runs.items() if len(made) > 1}


def _agree_among(runs: Sequence[_Run]) -> float:
    """Share of the items with the same answer, over all pairs of different runs."""
    said = [run.test.argmax(-1) for run in runs]
    return float(np.mean([(one == other).mean() for one, other in itertools.combinations(said, 2)]))


def _agree(one: Sequence[_Run], other: Sequence[_Run]) -> float:
    """Share of the items with the same answer; over the pairs of runs, of the same seed where both have several."""
    alike = zip(one, other, strict=False) if min(len(one), len(other)) > 1 else itertools.product(one, other)
    return float(np.mean([(a.test.argmax(-1) == b.test.argmax(-1)).mean() for a, b in alike]))


def _error(probabilities: Iterable[Floats], labels: Labels) -> float:
    return float(np.mean([calibration_error(p, labels) for p in probabilities]))


def _confusion(predicted: Labels, labels: Labels, classes: int) -> Floats:
    counted = np.bincount(labels * classes + predicted, minlength=classes**2)
    return counted.reshape(classes, classes).astype(np.float64)


def _divergence(known: Floats, said: Iterable[Floats]) -> float:
    return float(np.mean([(known * (_log(known) - _log(each))).sum(-1) for each in said]))


def _log(probabilities: Floats) -> Floats:
    return np.log(np.maximum(probabilities, 1e-12))
