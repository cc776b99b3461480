"""A model of CatBoost in its own formats, on table rows: catboost:FILE (Prokhorenkova et al., NeurIPS 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pandas import DataFrame

from autokd import compat
from autokd.declarations import Teacher
from autokd.networks.answered import AnsweredTeacher
from autokd.networks.freeze import foreign
from autokd.networks.state_file import file_fingerprint, teacher_file
from autokd.teachers.row_models import RowModel, ask_about_rows
from autokd.types import TABLE, BuildContext


@dataclass(frozen=True, kw_only=True)
class CatboostTeacher:
    """A classifier that `save_model` has written; it sees rows as `pandas.read_csv` would, missing text as "nan"."""

    declares = Teacher(modalities=TABLE)

    file: str  # .cbm, or .json
    classes: tuple[str, ...] = ()  # names in the order of its outputs, where its own are not the data's

    def build(self, context: BuildContext) -> AnsweredTeacher:
        """Return the teacher.

        Raises:
          MissingDependency: catboost is not installed.
          TeacherError: the file is no such model, or the model does not fit the data.
        """
        path = teacher_file(self.file)
        fitted = compat.import_module("catboost", "boosting").CatBoostClassifier()
        with foreign(f"{path} is no classifier of CatBoost"):
            fitted.load_model(str(path), format="json" if path.suffix.lower() == ".json" else "cbm")
            classes = [str(name) for name in fitted.classes_]
        names = list(map(str, fitted.feature_names_))
        unnamed = names == [str(place) for place in range(len(names))]
        model = RowModel(
            answer=lambda table: _probabilities(fitted, table),
            source=str(path),
            said="probabilities",
            columns=[] if unnamed else names,
            width=len(names),
            classes=classes,
        )
        return ask_about_rows(model, context, self.classes, file_fingerprint(path))


def _probabilities(fitted: Any, table: DataFrame) -> Any:
    categories = {
        table.columns[place]: table[table.columns[place]].astype(str) for place in fitted.get_cat_feature_indices()
    }
    return fitted.predict_proba(table.assign(**categories), thread_count=1)
