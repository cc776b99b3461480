"""Models of other libraries that read the rows of a table: each is asked once about every row of a dataset.

Shapes: N samples, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from autokd.errors import TeacherError, nearest
from autokd.networks.answered import AnsweredTeacher
from autokd.networks.freeze import foreign
from autokd.networks.models import state_fingerprint
from autokd.spec import fingerprint
from autokd.teachers.answers import FLOOR, as_logits, both_classes, in_class_order
from autokd.types import BuildContext

LISTED = 6


class RowModel(NamedTuple):
    """A model that reads rows.

    Args:
      answer: table of its own columns -> [N, C] probabilities or logits, or [N] of the second of two classes; a
        DataFrame names the classes itself.
      source: what it is, for people and messages.
      said: what its answers are: "probabilities" or "logits".
      columns: names of the columns that it was fitted on, in its order; () where it does not know them.
      width: how many columns it was fitted on; 0 where it does not know.
      classes: names of its classes, in the order of its answers; () where it does not know them.
    """

    answer: Callable[[DataFrame], Any]
    source: str
    said: str
    columns: Sequence[str] = ()
    width: int = 0
    classes: Sequence[str] = ()


def ask_about_rows(
    model: RowModel, context: BuildContext, given: Sequence[str], identity: str | None = None
) -> AnsweredTeacher:
    """Return a model as a teacher: its answers about every row, as the file of the data has them.

    Args:
      model: the model.
      context: of the task.
      given: names of its classes that the user gave, in the order of its answers; () for none.
      identity: what tells it apart from others; None: its answers do.

    Raises:
      TeacherError: its columns are not those of the data, it fails on their cells, or its answers do not fit.
    """
    task, source = context.task, model.source
    if context.samples is None or context.samples.table is None:
        raise TeacherError(f"{source}: it reads the rows of a table, and there are none here")
    table = own_columns(context.samples.table(), model)
    with foreign(f"the teacher {source} fails on the rows of {task.dataset}"):
        said = model.answer(table)
        values = np.asarray(said, dtype=np.float64)
    classes = list(map(str, said.columns)) if isinstance(said, DataFrame) else model.classes
    values = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    if values.ndim == 1:
        values = both_classes(values, model.said, source)
    if values.ndim != 2 or len(values) != len(table):
        raise TeacherError(f"{source}: {len(table)} rows, and answers of the form {list(values.shape)}")
    logits, named = in_class_order(as_logits(values, model.said, source).logits, given, classes, task, source)
    told = state_fingerprint({"logits": logits}) if identity is None else identity
    return AnsweredTeacher(
        logits, origin=source, fingerprint=fingerprint([told, list(given), task.fingerprint]), named=named
    )


def own_columns(table: DataFrame, model: RowModel) -> DataFrame:
    """Return the columns that a model was fitted on, in its order; a model may write underscores for blanks.

    Raises:
      TeacherError: some are not there, or it knows how many only, and they are not as many.
    """
    there = list(map(str, table.columns))
    if model.columns:
        return table[_by_name(there, model)]
    if model.width and model.width != len(there):
        raise TeacherError(
            f"{model.source}: it was fitted on {model.width} columns without names, and the data have {len(there)}: "
            f"{', '.join(there[:LISTED])}{', …' if len(there) > LISTED else ''}; fit it on a DataFrame, so that it "
            "knows their names"
        )
    return table


def _by_name(there: Sequence[str], model: RowModel) -> list[str]:
    """The columns that are there, in the order of those that a model knows by name."""
    known = {name.replace(" ", "_"): name for name in there} | {name: name for name in there}
    missing = next((name for name in model.columns if name not in known), None)
    if missing is not None:
        raise TeacherError(
            f"{model.source}: it was fitted on a column {missing!r}, which the data have not; {nearest(missing, there)}"
        )
    return [known[name] for name in model.columns]


def texts_of(table: DataFrame) -> list[str]:
    """Return the names of the columns of text."""
    return [str(name) for name in table.columns if table[name].dtype == object]


def with_categories(table: DataFrame, names: Sequence[str] | None = None) -> DataFrame:
    """Return a table some of whose columns are categories, as boosting libraries want them.

    Args:
      table: rows.
      names: of these columns; None: those of text.
    """
    names = texts_of(table) if names is None else names
    return table.assign(**{name: table[name].astype("category") for name in names})


def check_texts(table: DataFrame, categories: Sequence[str], source: str) -> None:
    """Refuse a model that was fitted on numbers in a column that holds text here: nobody knows which number is which.

    Args:
      table: of the model's columns, called as the data have them.
      categories: names of those that are categories to the model.
      source: the model, for messages.
    """
    coded = [name for name in texts_of(table) if name not in categories]
    if coded:
        raise TeacherError(
            f"{source}: it was fitted on numbers in the column {coded[0]!r}, which is text in the data, and does not "
            "say which number stands for which text; fit it on categories, give the pipeline that makes the numbers "
            "in Python, or its answers with --teacher-predictions"
        )


def as_shares(scores: Any) -> NDArray[np.float64]:
    """Return [N, C] scores of 0 to 1, of each class against the rest, as probabilities: in proportion.

    This is how scikit-learn's one-against-rest classifiers make them of theirs.
    """
    values = np.asarray(scores, dtype=np.float64)
    return np.asarray(values / values.sum(1, keepdims=True).clip(FLOOR), dtype=np.float64)
