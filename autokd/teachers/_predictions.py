"""Stored predictions of a teacher that cannot run here: predictions:FILE, or --teacher-predictions FILE."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from autokd.declarations import Teacher
from autokd.errors import TeacherError
from autokd.networks.answered import AnsweredTeacher
from autokd.networks.state_file import file_fingerprint
from autokd.ranges import Choice
from autokd.spec import fingerprint
from autokd.teachers import prediction_file, sample_keys
from autokd.teachers.answers import VALUES, as_logits, both_classes, in_class_order
from autokd.types import ANY, BuildContext


@dataclass(frozen=True, kw_only=True)
class PredictionsTeacher:
    """Stored predictions: a number for each class of each sample that trains, validates or tests.

    Rows are about samples by their number in the data, by the path of a picture, or by a column of the table; without
    such a key, in the order of the data. They are about samples as they are: augmentation and the teacher's features
    are out of reach.
    """

    declares = Teacher(modalities=ANY)

    file: str  # .npz, .npy, .csv, .tsv or .parquet
    classes: tuple[str, ...] = ()  # in the order of its numbers, where neither its file nor the data's order says them
    values: Annotated[str, Choice(*VALUES)] = "auto"  # what the numbers are; auto: they say it themselves

    def build(self, context: BuildContext) -> AnsweredTeacher:
        """Return the teacher.

        Raises:
          TeacherError: the file cannot be read, a sample has no prediction or two, or a class has no number.
        """
        task, path = context.task, Path(self.file).expanduser()
        if context.samples is None:
            raise TeacherError(f"{path}: predictions are of the samples of a dataset, and there is none here")
        if self.values not in VALUES:
            raise TeacherError(f"values is one of {', '.join(VALUES)}, got {self.values!r}")
        stored = prediction_file.read(path, task)
        rows = sample_keys.rows_of(context.samples, stored.keys, stored.key, len(stored.values), str(path))
        said = stored.said if self.values == "auto" else self.values
        values = stored.values
        if values.ndim == 1:
            values = both_classes(values, said, str(path))
        answers = as_logits(values, said, str(path))
        ordered = in_class_order(answers.logits[rows], self.classes, stored.classes, task, str(path))
        return AnsweredTeacher(
            ordered.logits,
            named=ordered.named,
            origin=f"predictions in {path} ({answers.taken_as})",
            fingerprint=fingerprint([self.values, list(self.classes), file_fingerprint(path), task.fingerprint]),
        )
