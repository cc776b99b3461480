"""Training an exported pipeline at full length: checkpoints, resume, and the bundle at the end."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from autokd._version import __version__
from autokd.data import Dataset, with_finer
from autokd.delivery import pipeline_file
from autokd.delivery.all_data import Without, joined, temperature_of, told_of_validation, warn_of_temperature
from autokd.delivery.bundle import TrainedStudent, read_metrics, write_bundle
from autokd.delivery.curve_logs import check_tensorboard, logged
from autokd.delivery.measured import calibrated, measured_for
from autokd.delivery.pipeline_file import PipelineFile
from autokd.delivery.teller import Listeners, Teller
from autokd.delivery.training_folder import check_folder, held, plan_of
from autokd.delivery.training_state import TrainingState, delete_training, load_training, save_training
from autokd.engine.artefacts import Artefacts
from autokd.engine.checkpoint import delivered_state
from autokd.engine.context import TrainContext
from autokd.engine.loop import OnEpoch, train_rung
from autokd.engine.prepare import prepare_artefacts
from autokd.engine.rung import Rung
from autokd.engine.teacher_bank import TeacherBank
from autokd.errors import BundleError, DataError, TeacherError
from autokd.files import cache_dir
from autokd.metrics import METRICS
from autokd.networks.cost import student_cost
from autokd.search.request import Progress
from autokd.seeds import derive
from autokd.spec import PipelineSpec, fingerprint, is_teacher, read_by
from autokd.teaching.taught import is_taught
from autokd.types import Split, Teacher

log = logging.getLogger("autokd")

_NO_LISTENERS = Listeners()

LoadTeacher = Callable[[Mapping[str, Any], Dataset], Teacher]
"""(reference, data) -> teacher."""


class Given(NamedTuple):
    """What a pipeline file refers to.

    Args:
      data: the dataset.
      load_teacher: gives the teacher; called only where a loss reads it, and with the data as a search has them.
      without: for a training on validation too, a bundle of the same pipeline that was trained without.
    """

    data: Dataset
    load_teacher: LoadTeacher | None = None
    without: Without | None = None


def train(
    file: PipelineFile,
    out_dir: Path,
    given: Given,
    *,
    device: torch.device,
    listeners: Listeners = _NO_LISTENERS,
) -> dict[str, Any]:
    """Train a pipeline at full length and write the student bundle; the same call goes on where it was interrupted.

    The test split is read once, at the end. A finished bundle is not trained again.

    Args:
      file: what to train.
      out_dir: the bundle's folder; checkpoints lie there until it is whole.
      given: what the file refers to.
      device: where to train.
      listeners: who is told how far it is.
    Returns:
      The bundle's metrics, and "objective", the metric that the pipeline is about.
    Raises:
      BundleError: the folder holds other files or another pipeline's training, or another process trains there.
      DataError: the data differ from those that the file names.
      TeacherError: there is no teacher where one is needed, or it is another one.
      MissingDependency: TensorBoard is wanted and not installed.
      TrialFailure: the training diverged.
    """
    if listeners.tensorboard is not None:
        check_tensorboard()
    _check_data(file, given.data)

    def context() -> TrainContext:
        teacher = _teacher(file, given)
        return TrainContext(
            data=with_finer(given.data, teacher),
            teacher=None if teacher is None else teacher.to(device),
            device=device,
            bank=TeacherBank(),
            metric=file.objective,
            artefacts=Artefacts(cache_dir("artefacts")),
            settles=not file.all_data,
        )

    return _train(file, out_dir, context, listeners, _Measuring(_test_metrics, given.without))


def train_claimed(
    file: PipelineFile, out_dir: Path, *, context: TrainContext, claimed: Mapping[str, Any], on_epoch: OnEpoch
) -> dict[str, Any]:
    """Train a pipeline that a claim is about at full length; see `train`. The test split is not read.

    Args:
      file: what to train.
      out_dir: the bundle's folder; checkpoints lie there until it is whole.
      context: data, teacher and device, as the search has them.
      claimed: what the claim says of test; it stands in the bundle's metrics as it is.
      on_epoch: see `Listeners`.

    Raises:
      BundleError: another process trains there, or the folder cannot be written.
      TrialFailure: the training diverged.
    """
    return _train(file, out_dir, lambda: context, Listeners(on_epoch=on_epoch), _Measuring(lambda *_: claimed))


class _Measuring(NamedTuple):
    """How a trained student is measured.

    Args:
      test: (context, student) -> what a bundle's metrics say of test.
      without: a bundle that was trained without validation, for a student that is trained on it.
    """

    test: Callable[[TrainContext, TrainedStudent], Mapping[str, Any]]
    without: Without | None = None


def _train(
    file: PipelineFile,
    out_dir: Path,
    make_context: Callable[[], TrainContext],
    listeners: Listeners,
    measuring: _Measuring,
) -> dict[str, Any]:
    check_folder(out_dir, file)
    with held(out_dir):
        done = read_metrics(out_dir)
        if done is not None:
            delete_training(out_dir)  # of a process that was killed between the bundle's last file and this
            log.info("%s is already trained; to train again, give another folder or delete it", out_dir)
            return {"objective": file.objective, **done}
        pipeline_file.write(out_dir / "pipeline.yaml", file.to_plain())
        if file.all_data:
            warn_of_temperature(measuring.without)
        context = make_context()
        state = _train_epochs(context, file, out_dir, listeners)
        listeners.notify(Progress(stage="end", done=0, total=1, note="measuring the student"))
        return _finish(context, file, out_dir, state, measuring)


def _check_data(file: PipelineFile, data: Dataset) -> None:
    if file.data_fingerprint is not None and file.data_fingerprint != data.task.fingerprint:
        raise DataError(
            f"the data of {data.task.dataset} are not those of the pipeline file: fingerprint {data.task.fingerprint}, "
            f"the file says {file.data_fingerprint}; bring the old data back, or set data_fingerprint: null in the file"
        )


def _teacher(file: PipelineFile, given: Given) -> Teacher | None:
    if not (file.spec.needs_teacher or file.spec.copies_teacher):
        return None
    if file.teacher is None or given.load_teacher is None:
        raise TeacherError(f"{_reader(file.spec)} reads a teacher, but the pipeline file names none")
    teacher = given.load_teacher(file.teacher, given.data)
    if file.teacher_fingerprint not in (None, teacher.fingerprint):
        seen = f"its fingerprint is {teacher.fingerprint}, the pipeline file says {file.teacher_fingerprint}"
        if not is_taught(file.teacher):
            raise TeacherError(
                f"the teacher has changed: {seen}; bring the old file back, or search again with this one"
            )
        log.warning("the teacher was trained again and is not bit-identical to the one of the search: %s", seen)
    return teacher


def _reader(spec: PipelineSpec) -> str:
    """What of a pipeline wants a teacher."""
    own = {f"losses.{name}": read_by(loss) for name, loss in spec.losses.items()}
    others = "the selection" if spec.needs_teacher else "the student, which is cut from it,"
    return next((path for path, read in own.items() if is_teacher(read)), others)


def _train_epochs(context: TrainContext, file: PipelineFile, out_dir: Path, listeners: Listeners) -> TrainingState:
    if file.all_data:
        context = dataclasses.replace(context, data=joined(context.data))
    size, view_seed = len(context.data.train), derive(file.seed, "view")
    state = _start(out_dir, file, context)
    for prepared in prepare_artefacts(context, file.spec):
        log.info("prepared %s in %.1f s", prepared.component, prepared.seconds)
    teller = Teller(listeners, file.epochs, file.objective, len(state.curve))
    context = dataclasses.replace(context, alive=teller.alive)
    with logged(out_dir, state.curve, file.objective, listeners.tensorboard, state.plan) as log_epoch:
        for epoch in range(len(state.curve), file.epochs):
            result, checkpoint = train_rung(
                context,
                file.spec,
                Rung(seed=file.seed, view_seed=view_seed, horizon=file.epochs * size, until=(epoch + 1) * size),
                start=state.engine,
            )
            state = dataclasses.replace(
                state,
                curve=[*state.curve, *(_line(file, line) for line in result.curve)],
                seconds=state.seconds + result.seconds,
                engine=checkpoint,
            )
            save_training(out_dir, state)
            log_epoch(state.curve[-1])
            teller.epoch(state.curve[-1])
    return state


def _line(file: PipelineFile, line: Mapping[str, Any]) -> Mapping[str, Any]:
    """A line of the curve; without its score on validation where that was trained on."""
    return {key: value for key, value in line.items() if key != "score"} if file.all_data else line


def _start(out_dir: Path, file: PipelineFile, context: TrainContext) -> TrainingState:
    teacher = None if context.teacher is None else context.teacher.fingerprint
    data = context.data.task.fingerprint
    fresh = TrainingState(plan=fingerprint(plan_of(file)), teacher=teacher, data=data, curve=[])
    kept = load_training(out_dir)
    if kept is None:
        return fresh
    if (kept.plan, kept.teacher, kept.data or data) != (fresh.plan, fresh.teacher, data):
        raise BundleError(f"the checkpoint in {out_dir} is of another pipeline, teacher or data; give another folder")
    log.info("going on after epoch %d of %d", len(kept.curve), file.epochs)
    return kept


def _finish(
    context: TrainContext, file: PipelineFile, out_dir: Path, state: TrainingState, measuring: _Measuring
) -> dict[str, Any]:
    """Measure the trained student and turn the folder into a bundle."""
    assert state.engine is not None, "there is at least one epoch"
    data, offers = context.data, None if context.teacher is None else context.teacher.offers
    student = TrainedStudent(spec=file.spec, teacher=offers, state=delivered_state(state.engine))
    if file.all_data:
        student = dataclasses.replace(student, temperature=temperature_of(measuring.without))
        validation = told_of_validation(measuring.without)
    else:
        student = calibrated(student, data, context.device)
        validation = _measured(context, student, data.validation)
    cost = student_cost(file.spec.student, data.task, file.spec.head, offers)
    metrics = {
        "objective": file.objective,
        "test": measuring.test(context, student),
        "validation": validation,
        "temperature": student.temperature,
        "seed": file.seed,
        "epochs": file.epochs,
        "train_samples": len(data.train) + (len(data.validation) if file.all_data else 0),
        **({"all_data": True} if file.all_data else {}),
        "params": cost.params,
        "macs": cost.macs,
        "seconds": round(state.seconds, 3),
        "device": str(context.device),
        "teacher_fingerprint": state.teacher,
        "versions": {"autokd": __version__, "torch": torch.__version__},
        "curve": state.curve,
    }
    write_bundle(out_dir, student, dataset=data, metrics=metrics, pipeline_doc=file.to_plain())
    delete_training(out_dir)
    return {"format": 1, **metrics}


def _test_metrics(context: TrainContext, student: TrainedStudent) -> dict[str, Any]:
    """Read the test split, and measure the student on it."""
    return _measured(context, student, context.data.read_test())


def _measured(context: TrainContext, student: TrainedStudent, split: Split) -> dict[str, Any]:
    return measured_for(METRICS[context.metric], student, context.data, split, context.device)
