"""A model of CatBoost in its own formats, on table rows: catboost:FILE (Prokhorenkova et al., NeurIPS 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from pandas import DataFrame, Series

from autokd import compat
from autokd.declarations import Teacher
from autokd.errors import TeacherError
from autokd.networks.answered import AnsweredTeacher
from autokd.networks.freeze import foreign
from autokd.networks.state_file import file_fingerprint, teacher_file
from autokd.teachers.row_models import RowModel, as_shares, ask_about_rows
from autokd.types import TABLE, BuildContext

_AGAINST_THE_REST = "MultiClassOneVsAll"
_LOSSES = ("Logloss", "CrossEntropy", "MultiClass", _AGAINST_THE_REST)
"""Those that end in probabilities."""


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
        with foreign(f"{path} is no model of CatBoost"):
            fitted.load_model(str(path), format="json" if path.suffix.lower() == ".json" else "cbm")
            loss = str(fitted.get_all_params().get("loss_function", "not known")).partition(":")[0]
        if loss not in _LOSSES:
            raise TeacherError(f"{path}: its loss is {loss}; a teacher is a classifier")
        names = list(map(str, fitted.feature_names_))
        unnamed = names == [str(place) for place in range(len(names))]
        model = RowModel(
            answer=partial(_probabilities, fitted, loss == _AGAINST_THE_REST),
            source=str(path),
            said="probabilities",
            columns=[] if unnamed else names,
            width=len(names),
            classes=[str(name) for name in fitted.classes_],
        )
        return ask_about_rows(model, context, self.classes, file_fingerprint(path))


def _probabilities(fitted: Any, against_rest: bool, table: DataFrame) -> Any:
    names = [str(name) for name in table.columns]
    texts = [names[place] for place in (*fitted.get_cat_feature_indices(), *fitted.get_text_feature_indices())]
    written = {name: Series([str(cell) for cell in table[name]], index=table.index, dtype=object) for name in texts}
    values = fitted.predict_proba(table.assign(**written), thread_count=1)
    return as_shares(values) if against_rest else values
