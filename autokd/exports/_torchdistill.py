"""A pipeline for torchdistill: its YAML, and a module with what torchdistill lacks (Matsubara, arXiv 2011.12913)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autokd import batching
from autokd.declarations import Export
from autokd.delivery.subject import Subject, Written
from autokd.errors import BundleError, ComponentError
from autokd.exports.code.beside import data_of, load_teacher, write_data, write_teacher
from autokd.exports.code.pipeline import to_view
from autokd.exports.code.torchdistill import COMPANION, torchdistill_texts
from autokd.files import write_text
from autokd.types import IMAGE, TABLE

_FILES = {"config": "torchdistill.yaml", "data": "data.npz", "teacher": "teacher.pt2"}


@dataclass(frozen=True, kw_only=True)
class Torchdistill:
    """A folder with a YAML for torchdistill 1.1, a module that it depends on, the data, the teacher, and `run.py`."""

    declares = Export(output="torchdistill", trained=False, modalities=IMAGE | TABLE)

    def build(self, subject: Subject) -> Callable[[Path], Written]:
        """Return what writes the folder.

        Raises:
          BundleError: torchdistill cannot express the pipeline; names the parts, and why.
          DataError, TeacherError: the data or the teacher cannot be used.
        """
        file, task = subject.pipeline, subject.data.task
        try:
            teacher = load_teacher(subject)
            data = data_of(subject, teacher)
            if data.train.finer is not None or (teacher is not None and not teacher.offers.views):
                raise ComponentError("the teacher cannot be asked about what the student sees")
            texts = torchdistill_texts(
                file.spec,
                task,
                None if teacher is None else teacher.offers,
                files=_FILES,
                scaled=to_view(task, batching.single(data.train.inputs)),
                how={"epochs": file.epochs, "seed": file.seed},
            )
            assert teacher is not None, "a loss reads it"
        except ComponentError as error:
            raise BundleError(f"this pipeline cannot be one of torchdistill: {error}") from error

        def write(folder: Path) -> Written:
            folder.mkdir(exist_ok=True)
            names = ("run.py", _FILES["config"], f"{COMPANION}.py", _FILES["data"], _FILES["teacher"])
            files = tuple(folder / name for name in names)
            write_teacher(files[4], teacher, task, texts.parts)
            write_data(files[3], data, teacher, "live", texts.parts)
            for path, text in zip(files[:3], (texts.run, texts.config, texts.companion), strict=True):
                write_text(path, text)
            return Written(
                files, ("data.npz holds the test split, which run.py reads at its end",), f"python {files[0]}"
            )

        return write
