"""A model of LightGBM in its own text format, on the rows of a table: lightgbm:FILE (Ke et al., NeurIPS 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pandas import DataFrame

from autokd import compat
from autokd.declarations import Teacher
from autokd.errors import TeacherError
from autokd.networks.answered import AnsweredTeacher
from autokd.networks.freeze import foreign
from autokd.networks.state_file import file_fingerprint, teacher_file
from autokd.teachers.row_models import RowModel, ask_about_rows, with_categories
from autokd.types import TABLE, BuildContext

_UNNAMED = "Column_"


@dataclass(frozen=True, kw_only=True)
class LightgbmTeacher:
    """A booster that `Booster.save_model` has written; it sees the rows as `pandas.read_csv` would.

    Its outputs are taken in the order of the data's classes, which is that of scikit-learn's encoders. Columns of text
    are its categories.
    """

    declares = Teacher(modalities=TABLE)

    file: str  # text
    classes: tuple[str, ...] = ()  # names in the order of its outputs, where they are not the data's in their order

    def build(self, context: BuildContext) -> AnsweredTeacher:
        """Return the teacher.

        Raises:
          MissingDependency: lightgbm is not installed.
          TeacherError: the file is no such model, or the model does not fit the data.
        """
        path = teacher_file(self.file)
        booster = _loaded(path)
        names = booster.feature_name()
        unnamed = names == [f"{_UNNAMED}{place}" for place in range(len(names))]
        model = RowModel(
            answer=lambda table: booster.predict(_as_fitted(table, names), num_threads=1),
            source=str(path),
            said="probabilities",
            columns=[] if unnamed else names,
            width=len(names),
        )
        return ask_about_rows(model, context, self.classes, file_fingerprint(path))


def _loaded(path: Path) -> Any:
    lightgbm = compat.import_module("lightgbm", "boosting")
    with foreign(f"{path} is no model of LightGBM in its text format"):
        booster = lightgbm.Booster(model_file=str(path))
    objective = str(booster.dump_model(num_iteration=1).get("objective", ""))
    if not objective.startswith(("binary", "multiclass", "cross_entropy")):
        raise TeacherError(f"{path}: its objective is {objective or 'not known'}; a teacher is a classifier")
    return booster


def _as_fitted(table: DataFrame, names: list[str]) -> DataFrame:
    return with_categories(table).set_axis(names, axis=1)
