"""A pipeline for torchdistill: its YAML, and a module with what torchdistill lacks (Matsubara, arXiv 2011.12913)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autokd import batching
from autokd.declarations import Export
from autokd.delivery.subject import Subject, Written
from autokd.errors import BundleError, ComponentError
from autokd.exports.code.beside import data_of, load_teacher, teacher_program, write_data
from autokd.exports.code.pipeline import to_view
from autokd.exports.code.torchdistill import COMPANION, Around, torchdistill_texts
from autokd.files import write_bytes, write_text
from autokd.types import IMAGE, TABLE

_NAMES = ("torchdistill.yaml", "data.npz", "teacher.pt2")
"""Files: the YAML, the data, the teacher."""


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
            around = Around(*_NAMES, to_view(task, batching.single(data.train.inputs)), file.epochs, file.seed)
            texts = torchdistill_texts(file.spec, task, None if teacher is None else teacher.offers, around)
            assert teacher is not None, "a loss reads it"
            content = teacher_program(teacher, task, texts.parts)
        except ComponentError as error:
            raise BundleError(f"this pipeline cannot be one of torchdistill: {error}") from error

        def write(folder: Path) -> Written:
            folder.mkdir(exist_ok=True)
            config, arrays, program = (folder / name for name in _NAMES)
            run, companion = folder / "run.py", folder / f"{COMPANION}.py"
            write_bytes(program, content)
            write_data(arrays, data, teacher, "live", texts.parts)
            write_text(config, texts.config)
            write_text(companion, texts.companion)
            write_text(run, texts.run)
            remarks = (f"{arrays.name} holds the test split, which run.py reads at its end",)
            return Written((run, config, companion, arrays, program), remarks, f"python {run}")

        return write
