"""A model of XGBoost as JSON or UBJSON, on the rows of a table: xgboost:FILE (Chen and Guestrin, KDD 2016)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pandas import DataFrame

from autokd import compat
from autokd.declarations import Teacher
from autokd.errors import TeacherError
from autokd.networks.answered import AnsweredTeacher
from autokd.networks.freeze import foreign
from autokd.networks.state_file import file_fingerprint, teacher_file
from autokd.teachers.row_models import RowModel, ask_about_rows, check_texts, with_categories
from autokd.types import TABLE, BuildContext

_OBJECTIVES = ("binary:logistic", "binary:logitraw", "multi:softprob", "multi:softmax", "reg:logistic")
"""Those whose margin is a logit."""
_CATEGORY = "c"
"""What XGBoost calls the type of such a column."""


@dataclass(frozen=True, kw_only=True)
class XgboostTeacher:
    """A booster that `save_model` has written; it sees the rows as `pandas.read_csv` would.

    Its margins are logits, of the trees up to its best iteration. Its outputs are taken in the order of the data's
    classes, which is that of scikit-learn's encoders, unless another one is found to be right. Columns are categories
    that were to it.
    """

    declares = Teacher(modalities=TABLE)

    file: str  # .json or .ubj
    classes: tuple[str, ...] = ()  # names in the order of its outputs, where they are not the data's in their order

    def build(self, context: BuildContext) -> AnsweredTeacher:
        """Return the teacher.

        Raises:
          MissingDependency: xgboost is not installed.
          TeacherError: the file is no such model, or the model does not fit the data.
        """
        path = teacher_file(self.file)
        library = compat.import_module("xgboost", "boosting")
        booster = library.Booster()
        with foreign(f"{path} is no model of XGBoost as JSON or UBJSON"):
            booster.load_model(str(path))
        booster.set_param({"nthread": 1})
        objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
        if objective not in _OBJECTIVES:
            raise TeacherError(f"{path}: its objective is {objective}; a teacher is a classifier with logits")
        model = RowModel(
            answer=partial(_margins, library, booster, str(path)),
            source=str(path),
            said="logits",
            columns=booster.feature_names or [],
            width=booster.num_features(),
        )
        return ask_about_rows(model, context, self.classes, file_fingerprint(path))


def _margins(library: Any, booster: Any, source: str, table: DataFrame) -> Any:
    rows = _as_fitted(table, booster.feature_types, source) if booster.feature_names else table.to_numpy(dtype=float)
    best = booster.attr("best_iteration")
    until = (0, 0) if best is None else (0, int(best) + 1)
    given = library.DMatrix(
        rows, feature_names=booster.feature_names, enable_categorical=bool(booster.feature_names), nthread=1
    )
    return booster.predict(given, output_margin=True, iteration_range=until)


def _as_fitted(table: DataFrame, types: Sequence[str] | None, source: str) -> DataFrame:
    """A table whose columns are of the types that the model knows, where it knows them."""
    if types is None:
        return with_categories(table)
    categories = [str(name) for name, kind in zip(table.columns, types, strict=True) if kind == _CATEGORY]
    check_texts(table, categories, source)
    return with_categories(table, categories)
