"""A model with `predict_proba`, given in Python, on table rows: autokd.search(teacher=model)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autokd.declarations import Teacher
from autokd.networks.answered import AnsweredTeacher
from autokd.teachers.predictors import row_model
from autokd.teachers.row_models import ask_about_rows
from autokd.types import TABLE, BuildContext


@dataclass(frozen=True, kw_only=True)
class ObjectTeacher:
    """A fitted classifier of any library; it sees the rows as `pandas.read_csv` would."""

    declares = Teacher(modalities=TABLE)

    model: Any  # has predict_proba and, where it knows them, classes_ and feature_names_in_
    classes: tuple[str, ...] = ()  # names in the order of its answers, where its classes_ are not the data's

    def build(self, context: BuildContext) -> AnsweredTeacher:
        """Return the teacher.

        Raises:
          TeacherError: the object does not fit the data.
        """
        model = row_model(self.model, type(self.model).__module__.partition(".")[0])
        return ask_about_rows(model, context, self.classes)
