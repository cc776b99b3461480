"""A classifier or pipeline of scikit-learn, saved with skops, on the rows of a table: sklearn:FILE."""

from __future__ import annotations

import importlib
import inspect
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autokd import compat
from autokd.declarations import Teacher
from autokd.errors import TeacherError
from autokd.networks.answered import AnsweredTeacher
from autokd.networks.freeze import foreign
from autokd.networks.state_file import file_fingerprint, teacher_file
from autokd.teachers.predictors import row_model
from autokd.teachers.row_models import ask_about_rows
from autokd.types import TABLE, BuildContext

_STAYS_OUT = ("sklearn.utils._testing", "sklearn.externals", "sklearn.datasets")
"""Parts of scikit-learn whose classes no fitted model has."""
_HARMLESS = frozenset(
    {"functools.partial", "numpy.dtype", "sklearn.utils.validation.check_array"}
    | {f"sklearn.feature_selection._univariate_selection.{name}" for name in ("chi2", "f_classif")}
    | {"sklearn.feature_selection._mutual_info.mutual_info_classif"}
)
"""What models of scikit-learn hold that is no class of its own: of the encoder of categories, of a grid search, of the
selection of features. What a partial function calls is asked about by itself."""


@dataclass(frozen=True, kw_only=True)
class SklearnTeacher:
    """A fitted classifier that `skops.io.dump` has written; it sees the rows as `pandas.read_csv` would.

    Nothing is unpickled. Beside the types that skops trusts, classes of scikit-learn are read; any other type is named
    and refused.
    """

    declares = Teacher(modalities=TABLE)

    file: str  # of skops
    classes: tuple[str, ...] = ()  # names in the order of its `classes_`, where these are not the data's

    def build(self, context: BuildContext) -> AnsweredTeacher:
        """Return the teacher.

        Raises:
          MissingDependency: skops is not installed.
          TeacherError: the file is not of skops, holds other types, or its model does not fit the data.
        """
        path = teacher_file(self.file)
        model = row_model(_loaded(path), f"{path}")
        return ask_about_rows(model, context, self.classes, file_fingerprint(path))


def _loaded(path: Path) -> Any:
    skops = compat.import_module("skops.io", "sklearn")
    if not zipfile.is_zipfile(path):
        raise TeacherError(
            f"{path} is not a file of skops; a pickle or joblib file could run code and is not read: where you trust "
            "it, write the model anew with skops.io.dump(model, 'model.skops')"
        )
    with foreign(f"{path} is not a whole file of skops"):
        unknown = sorted(skops.get_untrusted_types(file=path))
    strange = [name for name in unknown if name not in _HARMLESS and not _is_of_sklearn(name)]
    if strange:
        raise TeacherError(
            f"{path} holds types that are not scikit-learn's: {', '.join(strange)}; they could run code and are not "
            "read. Give the model's answers with --teacher-predictions, or the model itself in Python"
        )
    with foreign(f"{path} cannot be read by this version of scikit-learn"):
        return skops.load(path, trusted=unknown)


def _is_of_sklearn(name: str) -> bool:
    """Whether a name is that of a class which scikit-learn itself defines; no function is."""
    module, _, attribute = name.rpartition(".")
    if not module.startswith("sklearn.") or module.startswith(_STAYS_OUT):
        return False
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError:
        return False
    return inspect.isclass(found) and found.__module__.startswith("sklearn.")
