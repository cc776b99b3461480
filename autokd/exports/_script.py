"""A training script for people who want to own the code: one file of PyTorch, without autokd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autokd import batching
from autokd.declarations import Export
from autokd.delivery.subject import Subject, Written
from autokd.errors import BundleError, ComponentError
from autokd.exports.code.beside import data_of, how_answered, load_teacher, teacher_program, write_data
from autokd.exports.code.pipeline import to_view, write_pipeline
from autokd.exports.code.script import Beside, script_text
from autokd.files import write_bytes, write_text
from autokd.objective import ACCURACY
from autokd.types import IMAGE, TABLE

_LONGEST = 100
"""Lines that the code of a loss may have."""


@dataclass(frozen=True, kw_only=True)
class Script:
    """A folder with a readable training script, the prepared data and the teacher; it runs with torch and numpy."""

    declares = Export(output="training", trained=False, modalities=IMAGE | TABLE)

    def build(self, subject: Subject) -> Callable[[Path], Written]:
        """Return what writes the folder.

        Raises:
          BundleError: parts of the pipeline have no plain form; names each, and why.
          DataError, TeacherError: the data or the teacher cannot be used.
        """
        file, task = subject.pipeline, subject.data.task
        try:
            teacher = load_teacher(subject)
            data = data_of(subject, teacher)
            offers = None if teacher is None else teacher.offers
            written = write_pipeline(file.spec, task, offers, longest=_LONGEST)
            parts = frozenset().union(*(loss.reads for loss in written.losses))
            answers = how_answered(parts, teacher, data, changes=bool(written.augment))
            scaled = to_view(task, batching.single(data.train.inputs))
            program = None if teacher is None or answers != "live" else teacher_program(teacher, task, parts)
        except ComponentError as error:
            raise BundleError(f"this pipeline cannot be a script: {error}") from error
        beside = Beside("data.npz", "teacher.pt2", answers, scaled)
        text = script_text(written, file.spec, task, beside, epochs=file.epochs, seed=file.seed)

        def write(folder: Path) -> Written:
            folder.mkdir(exist_ok=True)
            files = [folder / "train.py", folder / beside.data]
            if program is not None:
                files.append(folder / beside.teacher)
                write_bytes(files[-1], program)
            write_data(files[1], data, teacher, answers, parts)
            write_text(files[0], text)
            remarks = [
                f"{len(text.splitlines())} lines; data.npz holds the test split, which the script reads at its end"
            ]
            if file.objective != ACCURACY.metric.name:
                remarks.append(f"The script measures accuracy; the pipeline was chosen for {file.objective}.")
            return Written(tuple(files), tuple(remarks), f"python {folder / 'train.py'}")

        return write
