"""The end of a search that trains: the recommended pipeline at full length, inside the time, without a look at test."""

from __future__ import annotations

import dataclasses
import logging
import math
import shutil
import statistics
import time
from collections.abc import Mapping
from typing import Any

from autokd.data import Dataset, with_finer
from autokd.delivery import full_training, pipeline_file
from autokd.delivery.bundle import read_metrics
from autokd.delivery.export import export_pipeline
from autokd.delivery.pipeline_file import PipelineFile
from autokd.engine.artefacts import Artefacts
from autokd.engine.context import TrainContext
from autokd.engine.rung import FORWARD, run_samples
from autokd.engine.teacher_bank import TeacherBank
from autokd.errors import Interrupted, TrialFailure
from autokd.files import cache_dir
from autokd.networks.inputs import kind_of
from autokd.search.prepare import load_data
from autokd.search.request import epoch_progress
from autokd.search.run import Ended
from autokd.search.timing.clock import answer_seconds
from autokd.study.claim import Claim
from autokd.study.training import FOLDER, Training, training_of

log = logging.getLogger("autokd")

MARGIN = 0.85
"""Of the time left that the training is fitted into: its seconds are known from a few runs of the search."""


def train_recommended(ended: Ended) -> None:
    """Train the recommended pipeline to a bundle in the study's folder; the same search goes on where it was left.

    Its length is recorded before its first epoch. Where the time left bears no more than the claim's own runs had,
    it is not trained: the bundle in `best` is as good.

    Raises:
      Interrupted: the search was told to stop; the epochs so far are kept.
    """
    store, claim = ended.store, ended.store.records.claim
    if claim is None:
        return
    data, file = _data(ended), _file(ended, claim)
    training = training_of(store.records.trainings, claim.round) or _planned(ended, claim, data, file)
    if not training.epochs or read_metrics(store.path / FOLDER) is not None:
        return
    context = TrainContext(
        data=with_finer(data, ended.setup.teacher),
        teacher=ended.setup.teacher if file.spec.needs_teacher or file.spec.copies_teacher else None,
        device=ended.setup.device,
        bank=TeacherBank(),
        metric=file.objective,
        artefacts=Artefacts(cache_dir("artefacts")),
    )
    began = time.monotonic()
    try:
        full_training.train_claimed(
            file.with_training(epochs=training.epochs),
            store.path / FOLDER,
            context=context,
            claimed=claimed_test(claim),
            on_epoch=lambda line: _tell(ended, line),
        )
    except TrialFailure as failure:
        log.warning("the recommended pipeline failed at full length: %s; best/ holds the student of the claim", failure)
    finally:
        store.log.append("seconds", stage="train", seconds=round(time.monotonic() - began, 3))


def claimed_test(claim: Claim) -> dict[str, Any]:
    """Return what a bundle says of test that was not looked at again: the claim's mean, and what it is of."""
    runs = claim.used.test
    if not runs:
        return {"n": 0, "note": "the study made no claim: test was never read"}
    note = (
        f"of the claim: mean over {len(runs)} runs of {claim.epochs} epochs; this student, trained longer, was not "
        "looked at on test"
    )
    return {claim.metric: statistics.fmean(runs), "n": claim.n_test, "note": note}


def _planned(ended: Ended, claim: Claim, data: Dataset, file: PipelineFile) -> Training:
    """Fix the length of a training, and make room for it."""
    full, left = file.epochs, ended.clock.left
    fitting = full
    if math.isfinite(left):
        fitting = min(full, int(MARGIN * max(0.0, left) / _epoch_seconds(ended, claim, data)))
    epochs, reason = fitting, "full length" if fitting == full else f"as long as {left:.0f} s bear"
    if fitting < min(full, claim.epochs):
        epochs, reason = 0, f"{left:.0f} s bear no more than the {claim.epochs} epochs of the claim's runs"
    shutil.rmtree(ended.store.path / FOLDER, ignore_errors=True)  # that of an earlier claim
    training = Training(round=claim.round, epochs=epochs, full=full, samples=len(data.train), reason=reason)
    ended.store.log.append("training", **dataclasses.asdict(training))
    return training


def _epoch_seconds(ended: Ended, claim: Claim, data: Dataset) -> float:
    """The seconds of an epoch, by the claim's own runs of the pipeline, with an answer of the teacher to each view."""
    setup, used = ended.setup, claim.used
    stages = ("choose", "claim")
    runs = [r for r in ended.store.records.runs if r.stage in stages and r.pipeline == used.pipeline and r.seconds]
    each = run_samples(claim.epochs, claim.epochs, len(setup.data.train), len(setup.data.validation))
    sample = statistics.fmean(run.seconds for run in runs) / each if runs else 0.0
    teacher = setup.teacher
    answer = 0.0 if teacher is None else answer_seconds(teacher, data, setup.device)
    return max(1e-6, sample * (len(data.train) + FORWARD * len(data.validation)) + answer * len(data.train))


def _data(ended: Ended) -> Dataset:
    """The data of the search; all of them where it made do with fewer and a sample has the same form either way."""
    plan, data = ended.setup.time_plan, ended.setup.data
    if plan is None or plan.limit_train is None or not kind_of(data.task.modality).declares.grows:
        return data
    return load_data(ended.asked)


def _file(ended: Ended, claim: Claim) -> PipelineFile:
    """The recommended pipeline, with the teacher of the search and the seed of full training."""
    file = pipeline_file.parse(export_pipeline(ended.store), f"study {ended.store.name}, arm {claim.use}")
    teacher = ended.store.settings.identity.teacher
    return dataclasses.replace(file, teacher=teacher.reference, teacher_fingerprint=teacher.fingerprint)


def _tell(ended: Ended, line: Mapping[str, Any]) -> None:
    """Tell how far training is; leave it where the search is to stop."""
    ended.notify(epoch_progress(line))
    if ended.stop.draining:
        raise Interrupted
