"""autokd from Python: `search`, `train`, `open_study`, `Study`, `load_student`, `export_model`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
from safetensors.torch import load_file

from autokd import catalog, report
from autokd.data import Dataset, load_again
from autokd.delivery import bundle, full_training, pipeline_file
from autokd.delivery.all_data import read_without
from autokd.delivery.export import export_pipeline
from autokd.delivery.export_model import export_subject
from autokd.delivery.measured import calibrated
from autokd.delivery.recommended import train_recommended
from autokd.delivery.student import Student
from autokd.delivery.subject import Written
from autokd.delivery.teller import Listeners, nobody
from autokd.errors import BundleError, StudyError, nearest
from autokd.execution.executor import Stop
from autokd.files import check_writable
from autokd.lines import told
from autokd.options import REPORTS, STUDIES, FullTraining, Keyword, ModelExport, takes
from autokd.search import run
from autokd.search.request import Request, of_teacher, starting
from autokd.spec import from_plain
from autokd.study.claim import Claim
from autokd.study.records import TrialRecord
from autokd.study.store import StudyStore
from autokd.study.training import trained_folder
from autokd.teaching.taught import load_described
from autokd.types import Teacher


class Study:
    """A study in `studies/<name>`: what was tried, what is recommended, and on what evidence.

    Args:
      store: the study on disk.
      reports_dir: where its report goes.
    """

    def __init__(self, store: StudyStore, reports_dir: Path = REPORTS) -> None:
        self.store = store
        self._reports_dir = reports_dir

    @property
    def name(self) -> str:
        """The name of the study and of its folder."""
        return self.store.name

    @property
    def path(self) -> Path:
        """The folder of the study."""
        return self.store.path

    @property
    def best(self) -> TrialRecord | None:
        """Of the trials that trained longest, the one with the best validation score; None before any has finished."""
        return self.store.best

    @property
    def front(self) -> list[TrialRecord]:
        """With several objectives, those of the longest trials that no other one dominates; otherwise []."""
        return self.store.front

    @property
    def recommendation(self) -> Claim | None:
        """The newest claim: what to use, its arms and comparisons; None before the final comparison has ended."""
        return self.store.records.claim

    def trials_dataframe(self) -> pd.DataFrame:
        """Return one row a trial: number, state, reason, source, rung, score, metrics, seconds, costs, pipeline."""
        return self.store.trials_dataframe()

    @property
    def report_path(self) -> Path:
        """The path of the HTML report, which may not exist yet."""
        return self._reports_dir / self.name / "index.html"

    def report(self) -> Path:
        """Write the HTML report and the tables behind it; return the page's path."""
        return report.write(self.store, self._reports_dir)

    @property
    def student_path(self) -> Path | None:
        """The bundle of the recommended pipeline trained at full length, if the search trained it; otherwise None."""
        records = self.store.records
        return None if records.claim is None else trained_folder(self.path, records.trainings, records.claim.round)

    def export(
        self,
        path: str | Path | None = None,
        *,
        trial: int | None = None,
        arm: str | None = None,
        overwrite: bool = True,
    ) -> dict[str, Any]:
        """Return the complete pipeline file as plain data; also write it if a path is given.

        Args:
          path: of the YAML file, or None.
          trial: number of a trial, as it was drawn.
          arm: name of an arm of the newest claim, as it was claimed. With neither: the recommended pipeline.
          overwrite: replace a file that is there and says something else; the command line asks for it.

        Raises:
          StudyError: there is no such trial or arm, or both are given.
          NothingFeasible: no trial has finished.
          BundleError: there is another file, and it is not to be replaced.
        """
        plain = export_pipeline(self.store, trial, arm)
        if path is not None and not overwrite:
            pipeline_file.check_replaceable(Path(path), plain)
        if path is not None:
            pipeline_file.write(Path(path), plain)
        return plain

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict, the arms, and where the report is."""
        return report.as_html(self.store, self.report_path)

    def __repr__(self) -> str:
        state = "finished" if self.store.finished else "unfinished"
        return f"Study({str(self.path)!r}, {len(self.store.records.trials)} trials, {state})"


@dataclass(frozen=True, kw_only=True)
class SearchCall(Request):
    """What `search` takes: a request, plus arguments that only a program can give."""

    reports_dir: Annotated[Path | str, Keyword("Folder of reports.")] = REPORTS
    notify: Annotated[
        run.Notify | None,
        Keyword("Called with a `Progress` during the search; by default, a notebook shows lines below the cell."),
    ] = None
    stop: Annotated[Stop | None, Keyword("Use it to stop the search while it runs.")] = None


@takes(SearchCall)
def search(asked: SearchCall) -> Study:
    """Search for the best distillation pipeline, compare it with the baselines and write a report.

    The same call again resumes the study.

    Args:
      {options}

    Raises:
      UserError: bad input, or a study of that name that differs from this request.
      NothingFeasible: no student fits the limits, or no trial finished.
      TooManyFailures: too many trials failed.
      Interrupted: `stop` was used.
    """
    check_writable(Path(asked.reports_dir) / (asked.study or ""), "run it in a folder that you may write to")
    with told(asked.notify) as notify:
        study = Study(run.search(asked, notify, deliver, asked.stop), Path(asked.reports_dir))
    study.report()
    return study


def deliver(ended: run.Ended) -> None:
    """Write the bundle of the best student and, if asked for, train the recommended pipeline at full length."""
    if ended.is_new or not (ended.store.path / "best").exists():
        write_best(ended.store, ended.setup.data)
    if ended.asked.train:
        train_recommended(ended)


def write_best(store: StudyStore, data: Dataset) -> None:
    """Write the best student (by validation) of the recommended arm as a bundle to `best/`; its test value if read."""
    claim = store.records.claim
    if claim is None:
        return
    used, metric = claim.used, claim.about
    best = max(range(len(used.claimed)), key=lambda i: metric.score(used.validation[i]))
    claimed, file = used.claimed[best], store.student_file(claim.round, used.name, best)
    if not file.exists():
        return
    student = bundle.TrainedStudent(spec=from_plain(used.pipeline), teacher=store.offers, state=load_file(file))
    bundle.write_bundle(
        store.path / "best",
        calibrated(student, data, torch.device("cpu")),
        dataset=data,
        metrics={
            **({} if claimed.test is None else {"test": {metric.name: claimed.test, "n": claim.n_test}}),
            "validation": {metric.name: claimed.validation},
            "seed": claimed.seed,
            "epochs": claim.epochs,
        },
        pipeline_doc=export_pipeline(store),
    )


def open_study(name: str | Path, *, studies_dir: str | Path = STUDIES, reports_dir: str | Path = REPORTS) -> Study:
    """Open a study for reading.

    Args:
      name: of a study in `studies_dir`, or the path of its folder.

    Raises:
      StudyError: there is no such study, or it cannot be read.
    """
    path = study_folder(name, studies_dir)
    if not path.exists():
        known = [folder.name for folder in list_studies(studies_dir)]
        raise StudyError(f"there is no study {str(name)!r} in {studies_dir}/; {nearest(str(name), known)}")
    return Study(StudyStore.open(path), Path(reports_dir))


def study_folder(name: str | Path, studies_dir: str | Path = STUDIES) -> Path:
    """Return the folder that a study has, or would have: one of this path that is a study, or else by name."""
    path = Path(name)
    return Path(studies_dir) / name if not (path / "study.yaml").is_file() and path.parent == Path() else path


def list_studies(studies_dir: str | Path = STUDIES) -> list[Path]:
    """Return the folders of the studies in a folder, by name."""
    return sorted(file.parent for file in Path(studies_dir).glob("*/study.yaml"))


@takes(FullTraining)
def train(asked: FullTraining) -> dict[str, Any]:
    """Train an exported pipeline at full length and write the student bundle; the same call resumes.

    Args:
      {options}
    Returns:
      the test and validation metrics, and "objective", the name of the one that the pipeline is about.

    Raises:
      UserError: the file, the data or the teacher cannot be used.
    """
    catalog.load_plugins(*(asked.plugins or ()))
    path = Path(asked.pipeline)
    file = pipeline_file.read(path).with_training(epochs=asked.epochs, seed=asked.seed, all_data=asked.all_data)
    without = None if asked.figures_from is None else read_without(asked.figures_from, file)
    device = run.pick_device(asked.device)
    folder = path.with_suffix("") if asked.out is None else Path(asked.out)
    with told(asked.notify) as notify:
        notify(starting("reading the data"))
        data = asked.dataset or load_again(file.data, data_dir=asked.data_dir, download=asked.download)

        def teacher(reference: Mapping[str, Any], loaded: Dataset) -> Teacher:
            notify(starting("loading the teacher"))
            return load_described(reference, loaded, device, *of_teacher(notify))

        board = None if asked.tensorboard is None else Path(asked.tensorboard)
        listeners = Listeners(on_epoch=asked.on_epoch or nobody, notify=notify, tensorboard=board)
        given = full_training.Given(data, teacher, without)
        return full_training.train(file, folder, given, device=device, listeners=listeners)


def load_student(folder: str | Path, device: str = "cpu") -> Student:
    """Load a student bundle, without its teacher.

    Args:
      folder: of the bundle.
      device: the device to run on.
    Returns:
      The student: `predict` labels files, PIL images, arrays, tensors and tables, `module` is a plain network.

    Raises:
      BundleError: the folder is no bundle, or is damaged.
    """
    if not Path(folder).is_dir():
        raise BundleError(f"{folder}: no such folder; a bundle is what `autokd train` writes")
    return bundle.load_student(folder, device)


@takes(ModelExport)
def export_model(asked: ModelExport) -> Written:
    """Write a trained student, or how it is trained, in the form of another tool.

    Args:
      {options}
    Returns:
      The files, what to know of them, and how they are used.

    Raises:
      UserError: there is no such format, the source is no bundle, or cannot be expressed so.
    """
    catalog.load_plugins(*(asked.plugins or ()))
    return export_subject(asked)
