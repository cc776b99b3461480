"""The files that components of a pipeline read: found from where the pipeline is written, and told by their content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autokd.declarations import Declaration, Init
from autokd.errors import ComponentError, TeacherError
from autokd.networks.state_file import file_fingerprint


def located(plain: Mapping[str, Any], declares: Declaration, folder: Path) -> dict[str, Any]:
    """Return the fields of a component with the path of its file made absolute, and the file's digest.

    A component that names no file, or whose digest is there already, stays as it is.

    Args:
      plain: fields and values.
      declares: what the component declares.
      folder: what a relative path is relative to.
    Raises:
      ComponentError: there is no such file.
    """
    fields = dict(plain)
    if not isinstance(declares, Init) or not declares.file or fields.get(declares.digest):
        return fields
    path = fields.get(declares.file)
    if not isinstance(path, str) or not path:
        raise ComponentError(f"{declares.file}: name one file, got {path!r}")
    where = (folder / Path(path).expanduser()).absolute()
    try:
        return {**fields, declares.file: str(where), declares.digest: file_fingerprint(where)}
    except TeacherError as error:
        raise ComponentError(f"{declares.file}: there is no file {where}") from error
