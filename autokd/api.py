"""autokd from Python: `search`, `train`, `open_study`, `Study`, `load_student`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from safetensors.torch import load_file

from autokd import report
from autokd.data import Dataset, load_again
from autokd.delivery import bundle, full_training, pipeline_file
from autokd.delivery.export import export_pipeline
from autokd.delivery.recommended import train_recommended
from autokd.engine.teacher_bank import DEFAULT_BYTES
from autokd.errors import BundleError, StudyError, nearest
from autokd.search import run
from autokd.spec import from_plain
from autokd.study.claim import Claim
from autokd.study.records import TrialRecord
from autokd.study.store import StudyStore
from autokd.study.training import trained_folder
from autokd.teaching import default_teacher
from autokd.types import Teacher

if TYPE_CHECKING:
    from autokd.search.run import Notify

STUDIES = Path("studies")
REPORTS = Path("reports")


def _silent(progress: run.Progress) -> None:
    """Show no progress."""


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
        """Its name, that of its folder."""
        return self.store.name

    @property
    def path(self) -> Path:
        """Its folder."""
        return self.store.path

    @property
    def best(self) -> TrialRecord | None:
        """The trial that went furthest with the best validation score, or None."""
        return self.store.best

    @property
    def front(self) -> list[TrialRecord]:
        """With several objectives, the trials that went furthest and that no other one dominates; else []."""
        return self.store.front

    @property
    def recommendation(self) -> Claim | None:
        """The newest claim: what is recommended, its arms and comparisons; None before confirm is over."""
        return self.store.records.claim

    def trials_dataframe(self) -> pd.DataFrame:
        """Return one row a trial: number, state, reason, source, rung, score, metrics, seconds, costs, pipeline."""
        return self.store.trials_dataframe()

    @property
    def report_path(self) -> Path:
        """Where the HTML report is, or will be."""
        return self._reports_dir / self.name / "index.html"

    def report(self) -> Path:
        """Write the HTML report and the tables behind it; return the page's path."""
        return report.write(self.store, self._reports_dir)

    @property
    def student_path(self) -> Path | None:
        """The bundle of the recommended pipeline trained at full length, where the search trained it; else None."""
        records = self.store.records
        return None if records.claim is None else trained_folder(self.path, records.trainings, records.claim.round)

    def export(
        self, path: str | Path | None = None, *, trial: int | None = None, arm: str | None = None
    ) -> dict[str, Any]:
        """Return the complete pipeline file as plain data, and write it where a path is given.

        Args:
          path: of the YAML file, or None.
          trial: number of a trial, as it was drawn.
          arm: name of an arm of the newest claim, as it was claimed. With neither: the recommended pipeline.

        Raises:
          StudyError: there is no such trial or arm, or both are given.
          NothingFeasible: no trial has finished.
        """
        plain = export_pipeline(self.store, trial, arm)
        if path is not None:
            pipeline_file.write(Path(path), plain)
        return plain

    def __repr__(self) -> str:
        state = "finished" if self.store.finished else "unfinished"
        return f"Study({str(self.path)!r}, {len(self.store.records.trials)} trials, {state})"


def search(
    dataset: Any = "digits",
    *,
    space: str | Path | None = None,
    teacher: str | Path | torch.nn.Module | None = None,
    trials: int | None = None,
    time: float | None = None,
    max_params: float | None = None,
    max_macs: float | None = None,
    max_size: float | None = None,
    max_latency: float | None = None,
    objective: str | Sequence[str] | None = None,
    epochs: int | None = None,
    study: str | None = None,
    device: str = "auto",
    seed: int = 0,
    fresh: bool = False,
    bank_bytes: float = DEFAULT_BYTES,
    bank_features: bool = False,
    profile: bool = False,
    workers: int | None = None,
    slots: int | None = None,
    storage: str | None = None,
    max_failures: int | None = None,
    data_dir: str | Path | None = None,
    target: str | None = None,
    group: str | None = None,
    validation: str | Path | None = None,
    image_size: int | None = None,
    skip_bad: bool = False,
    download: bool = False,
    limit_train: int | None = None,
    quick: bool = False,
    train: bool = False,
    studies_dir: str | Path = STUDIES,
    reports_dir: str | Path = REPORTS,
    notify: Notify = _silent,
) -> Study:
    """Search for the best distillation pipeline and confirm it; the same call again goes on with the study.

    Args:
      dataset: a name ("digits"), the path of a folder of images or of a table, arrays (X, y), or a torch Dataset.
      space: a shipped space's name or a YAML file; by default the one for this kind of data.
      teacher: "ARCH@FILE", "timm:NAME@FILE", …, or a network; by default one is trained and cached.
      trials: number of trials, both baselines included.
      time: seconds that the whole search is to take; trials and epochs are fitted to it where they are not given.
      max_params, max_macs: the student's budget.
      max_size: bytes of the student's parameters and buffers.
      max_latency: milliseconds that the student may take for one sample, on the device.
      objective: a metric ("accuracy", "macro_f1", "log_loss", …), or several objectives, of which costs ("params",
        "macs", "size", "latency") may be some; the first is a metric, and what is claimed is about it.
      epochs: of the longest trials and of confirm.
      study: name of the study; by default the dataset's.
      device: "auto", "cpu", "cuda" or "cuda:i".
      seed: decides everything random.
      fresh: delete an existing study of this name first.
      bank_bytes: bound on the teacher outputs kept in the cache folder.
      bank_features: also keep the teacher's feature maps.
      profile: measure where the time goes, into the study's records.
      workers: local processes that train rungs; by default this process trains them. Changes the speed alone.
      slots: rungs under way at a time, part of what makes the study this study; by default as many as workers.
      storage: URL of a database that mirrors the study; by default a journal file in its folder.
      max_failures: failed trials that stop the search.
      data_dir, target, group, validation, image_size, skip_bad, download, limit_train: of the data; see
        `autokd.data.load`.
      quick: a quarter of the trials where no time is given, two seeds, no grid: a first impression.
      train: train the recommended pipeline at full length at the end, to the bundle `Study.student_path`; with `time`,
        inside it. Test is not looked at again.
      studies_dir, reports_dir: where they go.
      notify: called with a `Progress` as the search goes on.

    Raises:
      UserError: bad input, or an existing study that differs from what is asked.
      NothingFeasible: no student lies inside the budget, or no trial finished.
      TooManyFailures: trials failed again and again.
    """
    request = run.Request(
        dataset=dataset,
        space=space,
        teacher=str(teacher) if isinstance(teacher, Path) else teacher,
        trials=trials,
        time=time,
        max_params=max_params,
        max_macs=max_macs,
        max_size=max_size,
        max_latency=max_latency,
        objective=(objective,) if isinstance(objective, str) else tuple(objective) if objective else None,
        epochs=epochs,
        study=study,
        studies_dir=Path(studies_dir),
        device=device,
        seed=seed,
        data_options={
            "data_dir": data_dir,
            "target": target,
            "group": group,
            "validation": validation,
            "image_size": image_size,
            "skip_bad": skip_bad,
            "download": download,
            "limit_train": limit_train,
        },
        fresh=fresh,
        bank_bytes=bank_bytes,
        bank_features=bank_features,
        profile=profile,
        workers=workers,
        slots=slots,
        storage=storage,
        max_failures=max_failures,
        quick=quick,
        train=train,
    )
    return finish(run.search(request, notify, deliver), Path(reports_dir))


def finish(store: StudyStore, reports_dir: Path = REPORTS) -> Study:
    """Write the report of a searched study."""
    study = Study(store, reports_dir)
    study.report()
    return study


def deliver(ended: run.Ended) -> None:
    """Write what a search ends with: the bundle of its best student and, where that was asked for, a trained one."""
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
    bundle.write_bundle(
        store.path / "best",
        bundle.TrainedStudent(spec=from_plain(used.pipeline), teacher=store.offers, state=load_file(file)),
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
    path = Path(name)
    if not (path / "study.yaml").is_file() and path.parent == Path():
        path = Path(studies_dir) / name
    if not path.exists():
        known = [folder.name for folder in list_studies(studies_dir)]
        raise StudyError(f"there is no study {str(name)!r} in {studies_dir}/; {nearest(str(name), known)}")
    return Study(StudyStore.open(path), Path(reports_dir))


def list_studies(studies_dir: str | Path = STUDIES) -> list[Path]:
    """Return the folders of the studies in a folder, by name."""
    return sorted(file.parent for file in Path(studies_dir).glob("*/study.yaml"))


def train(
    pipeline: str | Path,
    *,
    out: str | Path | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    device: str = "auto",
    data_dir: str | Path | None = None,
    dataset: Dataset | None = None,
    on_epoch: Callable[[Mapping[str, Any]], None] | None = None,
    download: bool = False,
) -> dict[str, Any]:
    """Train an exported pipeline at full length and write the student bundle; the same call resumes.

    Args:
      pipeline: the YAML file that `Study.export` wrote.
      out: the bundle's folder; by default the file's name without its ending.
      epochs, seed: instead of the file's.
      device: as in `search`.
      data_dir: where the files of a named dataset are.
      dataset: the data, where they are already loaded.
      on_epoch: called after each epoch with its line of the curve, "epochs", their number, and "objective", the metric
        that its score is of.
      download: the network may be used for a named dataset.
    Returns:
      the test and validation metrics, and "objective", the name of the one that the pipeline is about.

    Raises:
      UserError: the file, the data or the teacher cannot be used.
    """
    path = Path(pipeline)
    file = pipeline_file.read(path).with_training(epochs=epochs, seed=seed)
    chosen = run.pick_device(device)
    data = dataset or load_again(file.data, data_dir=data_dir, download=download)

    def teacher(reference: Mapping[str, Any], loaded: Dataset) -> Teacher:
        return default_teacher.load_described(reference, loaded, chosen)

    folder = path.with_suffix("") if out is None else Path(out)
    return full_training.train(file, folder, data=data, load_teacher=teacher, device=chosen, on_epoch=on_epoch)


def load_student(folder: str | Path, device: str = "cpu") -> bundle.Student:
    """Load a student bundle, without its teacher.

    Raises:
      BundleError: the folder is no bundle, or is damaged.
    """
    if not Path(folder).is_dir():
        raise BundleError(f"{folder}: no such folder; a bundle is what `autokd train` writes")
    return bundle.load_student(folder, device)
