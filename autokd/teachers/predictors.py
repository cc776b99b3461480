"""Fitted objects with `predict_proba`, whoever made them: what they know of their columns and classes."""

from __future__ import annotations

import contextlib
from typing import Any

from pandas import DataFrame

from autokd.errors import TeacherError
from autokd.teachers.row_models import RowModel, with_categories


def row_model(fitted: Any, source: str) -> RowModel:
    """Return a fitted object as a model that reads rows.

    Args:
      fitted: has `predict_proba` and, as scikit-learn's have, `classes_` and `feature_names_in_` or `n_features_in_`.
      source: what it is.

    Raises:
      TeacherError: it has no `predict_proba`.
    """
    name = type(fitted).__name__
    source = f"{name} of {source}"
    if not callable(getattr(fitted, "predict_proba", None)):
        hint = "; CalibratedClassifierCV gives it one" if hasattr(fitted, "decision_function") else ""
        raise TeacherError(f"{source}: it has no predict_proba, and a teacher says a number for each class{hint}")
    columns = getattr(fitted, "feature_names_in_", ())
    width = int(getattr(fitted, "n_features_in_", 0) or 0)
    classes = getattr(fitted, "classes_", ())
    return RowModel(
        answer=lambda table: _of_arrays(fitted, table) if width and not len(columns) else _of_rows(fitted, table),
        source=source,
        said="probabilities",
        columns=[str(name) for name in columns],
        width=width,
        classes=[str(_plain(name)) for name in classes],
    )


def _of_arrays(fitted: Any, table: DataFrame) -> Any:
    return fitted.predict_proba(table.to_numpy())


def _of_rows(fitted: Any, table: DataFrame) -> Any:
    """Ask with text as text, and where that fails, with text as categories; else as the first one failed."""
    try:
        return fitted.predict_proba(table)
    except Exception:  # what a library says of cells that it does not take has no type in common
        categories = with_categories(table)
        if categories.dtypes.equals(table.dtypes):
            raise
        with contextlib.suppress(Exception):
            return fitted.predict_proba(categories)
        raise


def _plain(name: Any) -> Any:
    """A class as Python has it: 1 and not np.float64(1.0)."""
    return name.item() if hasattr(name, "item") else name
