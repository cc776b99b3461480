"""Training on validation too, once the choice is made: nothing is left then that says how good the student is but test.

So such a bundle has the validation figures and the temperature of one of the same pipeline that was trained without, if
one is given, and says so; else it has none, and a temperature of 1.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from autokd import batching
from autokd.data import Dataset
from autokd.delivery import pipeline_file
from autokd.delivery.bundle import load_student, read_metrics
from autokd.delivery.model_card import Reached, taken
from autokd.delivery.pipeline_file import PipelineFile, differences
from autokd.errors import BundleError
from autokd.spec import fingerprint

log = logging.getLogger("autokd")

_SAME = ("pipeline", "data_fingerprint", "teacher_fingerprint")
"""What two files must agree in for one to tell of the other."""


class Without(NamedTuple):
    """A bundle of the same pipeline that was not trained on validation.

    Args:
      folder: where it is, as it was given.
      validation: what it reached there, as its `metrics.json` says.
      temperature: of its probabilities.
      length: how long it was trained, in words.
    """

    folder: str
    validation: Mapping[str, Any]
    temperature: float
    length: str


def read_without(folder: str | Path, file: PipelineFile) -> Without:
    """Return a bundle that tells of a pipeline without validation.

    Args:
      folder: of the bundle.
      file: the pipeline that is to be trained with validation.

    Raises:
      BundleError: it is no whole bundle, is of another pipeline, or was trained on validation too; or the pipeline is
        to be trained without validation.
    """
    if not file.all_data:
        raise BundleError(f"--figures-from {folder} is for --all-data: without that a student has figures of its own")
    student, metrics = load_student(folder), read_metrics(Path(folder))
    if metrics is None:
        raise BundleError(f"{folder} has no metrics.json, so its training has not ended; run its autokd train again")
    different = _other_pipeline(file, pipeline_file.read(Path(folder) / "pipeline.yaml"))
    if different:
        raise BundleError(f"--figures-from {folder}: it is of another pipeline: {'; '.join(different)}")
    reached = taken(Reached, metrics)
    if reached.all_data:
        raise BundleError(f"--figures-from {folder}: it was trained on validation too, and says nothing of it either")
    length = f"{reached.epochs} {'epoch' if reached.epochs == 1 else 'epochs'}, seed {reached.seed}"
    return Without(str(folder), reached.validation or {}, student.temperature, length)


def _other_pipeline(file: PipelineFile, other: PipelineFile) -> list[str]:
    """In what two files differ, as far as both say it."""
    here, there = file.to_plain(), other.to_plain()
    known = [key for key in _SAME if here[key] is not None and there[key] is not None]
    return list(differences({key: here[key] for key in known}, {key: there[key] for key in known}))


def joined(data: Dataset) -> Dataset:
    """Return a dataset that is trained on validation too; its own validation split stays, for the engine to look at."""
    train = batching.join_splits([data.train, data.validation])
    task = dataclasses.replace(
        data.task, train_size=len(train), fingerprint=fingerprint(["train and validation", data.task.fingerprint])
    )
    return dataclasses.replace(data, train=train, task=task)


def told_of_validation(without: Without | None) -> dict[str, Any]:
    """Return what the metrics of a student say of validation that was trained on it, too."""
    if without is None:
        return {"n": 0, "note": "trained on validation too, so it tells nothing of this student"}
    note = f"trained on validation too; figures are of {without.folder}, the same without ({without.length})"
    return {**without.validation, "note": note}


def temperature_of(without: Without | None) -> float:
    """Return the temperature of a student that was trained on validation, too."""
    return 1.0 if without is None else without.temperature


def warn_of_temperature(without: Without | None) -> None:
    """Say before training what a student without a bundle to tell of it lacks."""
    if without is None:
        log.warning(
            "trained on validation too, nothing is left to fit the temperature of probabilities on: it stays 1, and "
            "there are no validation figures; --figures-from BUNDLE takes both from the same pipeline trained without"
        )
