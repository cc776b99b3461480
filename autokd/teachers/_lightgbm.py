"""A model of LightGBM in its own text format, on the rows of a table: lightgbm:FILE (Ke et al., NeurIPS 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pandas import DataFrame

from autokd import compat
from autokd.declarations import Teacher
from autokd.errors import TeacherError
from autokd.networks.answered import AnsweredTeacher
from autokd.networks.freeze import foreign
from autokd.networks.state_file import file_fingerprint, teacher_file
from autokd.teachers.row_models import RowModel, as_shares, ask_about_rows, check_texts, texts_of, with_categories
from autokd.types import TABLE, BuildContext

_UNNAMED = "Column_"
_AGAINST_THE_REST = "multiclassova"
_OBJECTIVES = ("binary", "multiclass", _AGAINST_THE_REST, "cross_entropy")
"""Those that end in probabilities."""


@dataclass(frozen=True, kw_only=True)
class LightgbmTeacher:
    """A booster that `Booster.save_model` has written; it sees the rows as `pandas.read_csv` would.

    Its outputs are taken in the order of the data's classes, which is that of scikit-learn's encoders, unless another
    one is found to be right. Columns of text are its categories, and such of numbers as were to it.
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
        about = booster.dump_model(num_iteration=1)
        objective = (str(about.get("objective", "")).split() or [""])[0]
        if objective not in _OBJECTIVES:
            raise TeacherError(f"{path}: its objective is {objective or 'not known'}; a teacher is a classifier")
        names = booster.feature_name()
        unnamed = names == [f"{_UNNAMED}{place}" for place in range(len(names))]
        answer = partial(_answer, booster, _categories(booster, about), objective == _AGAINST_THE_REST, str(path))
        model = RowModel(
            answer=answer,
            source=str(path),
            said="probabilities",
            columns=[] if unnamed else names,
            width=len(names),
        )
        return ask_about_rows(model, context, self.classes, file_fingerprint(path))


def _loaded(path: Path) -> Any:
    lightgbm = compat.import_module("lightgbm", "boosting")
    with foreign(f"{path} is no model of LightGBM in its text format"):
        return lightgbm.Booster(model_file=str(path))


class _Categories(NamedTuple):
    """Which columns are categories to a model.

    Args:
      known: how many were of pandas' categories when it was fitted.
      split: places of those that it splits by category.
    """

    known: int
    split: frozenset[int]

    def among(self, table: DataFrame) -> list[str]:
        """Return the columns to hand over as categories: of text, and of numbers that it splits so, as many as were."""
        texts = texts_of(table)
        wide = [str(name) for place, name in enumerate(table.columns) if place in self.split or str(name) in texts]
        return wide if len(texts) < self.known == len(wide) else texts[: self.known]


def _categories(booster: Any, about: Mapping[str, Any]) -> _Categories:
    infos = about.get("feature_infos", {})
    split = [place for place, name in enumerate(booster.feature_name()) if infos.get(name, {}).get("values")]
    return _Categories(len(booster.pandas_categorical or []), frozenset(split))


def _answer(booster: Any, categories: _Categories, against_rest: bool, source: str, table: DataFrame) -> Any:
    named = categories.among(table)
    check_texts(table, named, source)
    rows = with_categories(table, named).set_axis(booster.feature_name(), axis=1)
    values = booster.predict(rows, num_threads=1)
    return as_shares(values) if against_rest else values
