"""From raw inputs to a network's inputs: fitted once on the training rows, kept as JSON, used alike ever after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from autokd.errors import ComponentError, DataError
from autokd.input_values import PREPROCESS_FORMAT, Preprocess, ReadInputs
from autokd.networks.inputs import kind_of


def from_json(plain: Mapping[str, Any]) -> Preprocess:
    """Inverse of a preprocessing's `to_json`.

    Raises:
      DataError: the format is not known, or the data are not such a preprocessing.
    """
    if plain.get("format") != PREPROCESS_FORMAT:
        raise DataError(
            f"preprocessing format {plain.get('format')!r} is not known; this version reads {PREPROCESS_FORMAT}"
        )
    try:
        kind = kind_of(plain["kind"])
        return kind.restore({key: value for key, value in plain.items() if key not in ("format", "kind")})
    except (ComponentError, KeyError, TypeError) as error:
        raise DataError(f"this is not a preprocessing of format {PREPROCESS_FORMAT}: {error}") from error


def read_inputs(preprocess: Preprocess, paths: Iterable[str | Path], *, skip_bad: bool = False) -> ReadInputs:
    """Read inputs that are not part of a dataset.

    Args:
      preprocess: of the model that is to see them.
      paths: files and folders, of the forms that the kind of input has.
      skip_bad: leave unreadable files out, and take what was never seen as the preprocessing's rule says.

    Raises:
      DataError: a file is missing or unreadable, or holds what was never seen, unless `skip_bad`.
    """
    found = [Path(path) for path in paths]
    missing = [path for path in found if not path.exists()]
    if missing or not found:
        raise DataError(f"{missing[0]}: no such file" if missing else "no inputs are given")
    return kind_of(preprocess.kind).read(preprocess, found, skip_bad=skip_bad)
