"""What an export writes of: a trained student in its bundle, or a pipeline that trains one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

from autokd.data import Dataset, load_again
from autokd.declarations import Export
from autokd.delivery import pipeline_file
from autokd.delivery.bundle import load_student
from autokd.delivery.pipeline_file import PipelineFile
from autokd.delivery.student import Student
from autokd.errors import BundleError, DataError


class Written(NamedTuple):
    """What an export wrote.

    Args:
      files: the most important one first.
      remarks: what a user should know of it, a sentence each.
      next: the command that uses it; "" for none.
    """

    files: tuple[Path, ...]
    remarks: tuple[str, ...] = ()
    next: str = ""


class Subject:
    """A trained student in its bundle, or a pipeline that trains one. Each part is loaded when it is first asked for.

    Args:
      source: a student bundle, or a pipeline file.
      data_dir: folder of the files of named datasets, or of data that were moved.
      data: the data, where they are loaded already.

    Raises:
      BundleError: it is neither.
    """

    def __init__(self, source: str | Path, *, data_dir: str | Path | None = None, data: Dataset | None = None) -> None:
        path = Path(source)
        self.source = path
        self.bundle = path if path.is_dir() else None
        self._data_dir, self._data = data_dir, data
        if self.bundle is None and not pipeline_file.is_pipeline_file(path):
            seen = "is no pipeline file" if path.exists() else "does not exist"
            raise BundleError(f"{path} {seen}; give a student bundle, as autokd train writes one, or a pipeline file")

    @cached_property
    def student(self) -> Student:
        """The trained student, on the CPU.

        Raises:
          BundleError: there is none, or the bundle is damaged.
        """
        if self.bundle is None:
            raise BundleError(f"{self.source} is a pipeline file; autokd train makes a student of it, to be exported")
        return load_student(self.bundle)

    @cached_property
    def pipeline(self) -> PipelineFile:
        """How the student was trained, or is to be.

        Raises:
          BundleError: the file is missing or damaged.
        """
        return pipeline_file.read(self.source if self.bundle is None else self.bundle / "pipeline.yaml")

    @cached_property
    def data(self) -> Dataset:
        """The data that the pipeline names; nothing is downloaded.

        Raises:
          DataError: they cannot be read, or have changed since.
        """
        file = self.pipeline
        data = self._data or load_again(file.data, data_dir=self._data_dir, download=False)
        if file.data_fingerprint not in (None, data.task.fingerprint):
            raise DataError(
                f"the data of {data.task.dataset} are not those that {self.source} was made from: fingerprint "
                f"{data.task.fingerprint}, it says {file.data_fingerprint}; bring the old data back"
            )
        return data


class ExportComponent(Protocol):
    """A form in which a student, or its training, is handed to other tools. Its fields are its options."""

    @property
    def declares(self) -> Export:
        """What it declares."""
        ...

    def build(self, subject: Subject) -> Callable[[Path], Written]:
        """Return what writes to a path, whose folder exists and which is free.

        Raises:
          BundleError: this cannot be expressed so; it says what, by name.
          MissingDependency: a package is needed for it.
        """
        ...
