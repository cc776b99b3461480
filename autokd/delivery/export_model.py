"""Writes a trained student, or how one is trained, in the form of another tool: one component of the kind `exports`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autokd import catalog
from autokd.data import Dataset
from autokd.delivery.subject import ExportComponent, Subject, Written
from autokd.errors import BundleError, ComponentError, UserError, nearest
from autokd.files import check_writable
from autokd.input_kind import takes
from autokd.options import ModelExport


def export_subject(asked: ModelExport) -> Written:
    """Write an export; see `autokd.export_model`."""
    component = _component(asked.format, {"int8": asked.int8})
    data = asked.dataset if isinstance(asked.dataset, Dataset) else None
    subject = Subject(asked.source, data_dir=asked.data_dir, data=data)
    path = _free(Path(_name(component)) if asked.output is None else Path(asked.output), overwrite=asked.overwrite)
    _check_kind_of_input(component, subject)
    write = component.build(subject)
    check_writable(path.parent, "give another place with -o")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return write(path)
    except OSError as error:
        raise BundleError(f"cannot write {path}: {error.strerror or error}") from error


def _component(name: str, options: Mapping[str, Any]) -> ExportComponent:
    """The export of a name, with the options that were given.

    Raises:
      UserError: there is none of that name, or it has no such option.
    """
    there = catalog.names("exports")
    if name not in there:
        raise UserError(f"--format {name}: there is no such export; {nearest(name, there)}")
    form, given = catalog.load("exports", name), {key: value for key, value in options.items() if value}
    for key in given:
        if key not in _fields(name):
            having = [other for other in there if key in _fields(other)]
            raise UserError(f"--{key} is not for --format {name}; it is for {', '.join(having) or 'no export'}")
    made: ExportComponent = form(**given)
    return made


def _fields(name: str) -> set[str]:
    return {field.name for field in dataclasses.fields(catalog.load("exports", name))}


def _name(component: ExportComponent) -> str:
    """The default name of what is written, with the options that are on: "student-int8.onnx"."""
    name = Path(component.declares.output)
    on = [field.name for field in dataclasses.fields(component) if getattr(component, field.name) is True]  # type: ignore[arg-type]
    return str(name.with_stem("-".join([name.stem, *on])))


def _free(path: Path, *, overwrite: bool) -> Path:
    """Return the path, or refuse it where something is there already."""
    there = path.exists() and not (path.is_dir() and not any(path.iterdir()))
    if there and not overwrite:
        raise BundleError(f"{path} is already there; give another place with -o, or --overwrite")
    return path


def _check_kind_of_input(component: ExportComponent, subject: Subject) -> None:
    declares = component.declares
    modality = subject.student.task.modality if declares.trained else subject.data.task.modality
    if not takes(declares.modalities, modality):
        name = catalog.name_of(component)
        raise ComponentError(f"--format {name} is not for {modality} data, but for {', '.join(declares.modalities)}")
