"""The whole funnel on one study: prepare data, teacher and space, open the study, then screen, explore and confirm."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import os
import platform
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file

from autokd import data as data_package
from autokd import spec as spec_module
from autokd.cost import student_cost
from autokd.data import Dataset
from autokd.engine.evaluate import metrics, predict_teacher
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.train import TrainContext
from autokd.errors import AutokdError, NothingFeasible, StudyError, UserError
from autokd.files import cache_dir
from autokd.search import default_teacher
from autokd.search.confirm import Confirmer, run_count
from autokd.search.executors import InlineExecutor, RungJob, run_job
from autokd.search.explore import Explorer, baseline, seconds_per_epoch
from autokd.search.mirror import Mirror
from autokd.search.records import TrialRecord
from autokd.search.screen import FEW, Screener, population, screen, usable_proxies
from autokd.search.store import StudyStore, delete, differences, read_settings, refuse_foreign, shapes_to_plain
from autokd.space import Space, find, parse
from autokd.spec import component_from_plain
from autokd.teacher_reference import describe, load_teacher
from autokd.types import Budget, Shapes, Split, Task, Teacher

log = logging.getLogger("autokd")

SCREENED = ("params", "macs", "nwot", "diswot", "latency")
"""Proxies that `autokd screen` shows; a search leaves out the last, which is not reproducible."""
TIMED_SAMPLES = 512
"""Samples on which a plan's seconds are measured."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for. None means: the space file's value, or the default.

    Args:
      dataset: a name, a path, arrays (X, y) or a torch Dataset.
      space: a shipped space's name, a path, or None for the dataset's own default.
      teacher: a reference, an nn.Module, or None to train one.
      trials: number of trials, baselines included.
      time: seconds after which no new trial starts, less the measured cost of confirm.
      max_params, max_macs: the student's budget.
      epochs: of the top rung and of confirm.
      study: name of the study; by default the dataset's.
      studies_dir: where studies live.
      device: "auto", "cpu", "cuda" or "cuda:i".
      seed: the study's seed.
      data_options: further arguments of `autokd.data.load`.
      fresh: delete an existing study of this name first.
    """

    dataset: Any = "digits"
    space: str | Path | None = None
    teacher: Any = None
    trials: int | None = None
    time: float | None = None
    max_params: float | None = None
    max_macs: float | None = None
    epochs: int | None = None
    study: str | None = None
    studies_dir: Path = Path("studies")
    device: str = "auto"
    seed: int = 0
    data_options: Mapping[str, Any] = field(default_factory=dict)
    fresh: bool = False


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a search stands, for a progress display.

    Args:
      stage: "teacher", "screen", "explore" or "confirm".
      done, total: of the stage's units (epochs, students, trials, runs).
      best: best validation score so far, or None.
      failures: failed trials so far.
      note: what is going on, in a few words.
    """

    stage: str
    done: int
    total: int
    best: float | None = None
    failures: int = 0
    note: str = ""


Notify = Callable[[Progress], None]
OnClaim = Callable[[StudyStore, Dataset], None]


class Prepared(NamedTuple):
    """Everything a search needs before the first trial.

    Args:
      data: the dataset.
      space: the resolved space.
      space_text: its file, verbatim.
      teacher: the teacher; None in a dry run.
      teacher_reference: plain, for `study.yaml`.
      offers: what the teacher offers.
      budget: resolved.
      device: the device.
      identity: what makes the study this study.
      settings: what may change, each value with its origin.
    """

    data: Dataset
    space: Space
    space_text: str
    teacher: Teacher | None
    teacher_reference: Mapping[str, Any]
    offers: Shapes
    budget: Budget
    device: torch.device
    identity: dict[str, Any]
    settings: dict[str, Any]


class Plan(NamedTuple):
    """What a search would do.

    Args:
      rung_epochs: epochs at the end of each rung.
      trial_runs: runs that reach each rung, about.
      confirm_runs: runs of confirm, at most.
      sample_seconds: measured seconds of training on one sample.
      seconds: expected seconds in all, without training a teacher.
      disk_bytes: expected size of the study.
    """

    rung_epochs: list[int]
    trial_runs: list[int]
    confirm_runs: int
    sample_seconds: float
    seconds: float
    disk_bytes: int


def pick_device(name: str) -> torch.device:
    """Return the device for "auto", "cpu", "cuda" or "cuda:i".

    Raises:
      UserError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"--device {name}: not a device; use auto, cpu, cuda or cuda:0") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"--device {name}: this machine has {torch.cuda.device_count()} CUDA device(s); use cpu or auto"
        )
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device {name}: use auto, cpu, cuda or cuda:0")
    return device


def rung_plan(budget: Budget) -> list[int]:
    """Return the epochs at the end of each rung: the top one divided by eta again and again, at least 1, distinct."""
    epochs = {max(1, round(budget.epochs / budget.eta**k)) for k in range(budget.rungs)}
    return sorted(epochs)


def prepare(request: Request, notify: Notify, *, dry: bool = False, for_study: bool = True) -> Prepared:
    """Load the data, resolve the space and obtain the teacher; nothing of the study is written.

    Whatever may be refused is refused before a teacher is trained.

    Args:
      request: what was asked.
      notify: called as the teacher is trained.
      dry: train no teacher.
      for_study: refuse what the study of that name cannot go on with.

    Raises:
      UserError: bad input, or an existing study that differs from what is asked.
      NothingFeasible: no student of the space lies inside the budget.
    """
    device = pick_device(request.device)
    data = data_package.load(request.dataset, seed=request.seed, **request.data_options)
    text, source = find(request.space or data.default_space)
    unresolved = parse(text, source)
    budget = _budget(unresolved.budget, request)
    teacher, reference, offers = _given_teacher(request, data, budget, device)
    space = unresolved.resolve(data.task, offers, max_params=request.max_params, max_macs=request.max_macs)
    identity = {
        "space": space.identity(),
        "data": {"reference": data.reference, "fingerprint": data.task.fingerprint},
        "teacher": {"reference": dict(reference), "fingerprint": None if teacher is None else teacher.fingerprint},
        "objective": {"accuracy": "maximize"},
        "rungs": rung_plan(budget),
        "budget": {key: value for key, value in dataclasses.asdict(budget).items() if key != "trials"},
        "seed": request.seed,
        "slots": 1,
    }
    if for_study:
        _check(request, data, space, identity)
    if teacher is None and not dry:
        teacher = _trained_teacher(data, budget, device, notify)
        identity["teacher"] = {"reference": dict(reference), "fingerprint": teacher.fingerprint}
    return Prepared(
        data=data,
        space=space,
        space_text=text,
        teacher=teacher,
        teacher_reference=reference,
        offers=offers,
        budget=budget,
        device=device,
        identity=identity,
        settings=_settings(request, budget, space, device, source),
    )


def plan(prepared: Prepared) -> Plan:
    """Return what a search would do, its seconds measured on a few samples."""
    budget, rungs = prepared.budget, rung_plan(prepared.budget)
    runs = [max(1, budget.trials // budget.eta**k) for k in range(len(rungs))]
    per_sample = _measure(prepared)
    increments = [rungs[0], *(b - a for a, b in itertools.pairwise(rungs))]
    confirm = run_count(budget, has_teacher=True)
    epochs = sum(n * e for n, e in zip(runs, increments, strict=True)) + confirm * budget.confirm_epochs
    cost = student_cost(component_from_plain("students", prepared.space.default().plain["student"]), prepared.data.task)
    disk = 4 * cost.params * (3 * sum(runs) + 3 * budget.claim_seeds) + 2_000_000
    seconds = epochs * per_sample * len(prepared.data.train)
    return Plan(rungs, runs, confirm, per_sample, seconds, disk)


def search(request: Request, notify: Notify, on_claim: OnClaim) -> StudyStore:
    """Run the funnel, or go on with it; return the study, closed.

    Args:
      request: what was asked.
      notify: called as the search goes on.
      on_claim: called after a new claim, while the study is still locked.

    Raises:
      UserError: bad input, or an existing study that differs from what is asked.
      NothingFeasible: no student inside the budget, or no trial finished.
    """
    prepared = prepare(request, notify)
    with _opened(request, prepared) as store, _log_file(store.path / "log.txt"):
        claims = len(store.records.evidence)
        _run(store, prepared, request, notify)
        if len(store.records.evidence) > claims or not (store.path / "best").exists():
            on_claim(store, prepared.data)
        return store


def screen_only(request: Request, notify: Notify) -> list[dict[str, Any]]:
    """Rank the space's students without training them or writing anything; see `autokd.search.screen.screen`."""
    prepared = prepare(request, notify, for_study=False)
    context = TrainContext(data=prepared.data, teacher=prepared.teacher, device=prepared.device, bank=TeacherBank())
    screener = _screener(prepared, context, SCREENED)
    students, _ = population(prepared.space, prepared.data.task, request.seed)
    return screen(screener, students, lambda done, total: notify(Progress(stage="screen", done=done, total=total)))


def claimed_student(store: StudyStore, arm: str, i: int) -> Mapping[str, torch.Tensor] | None:
    """Return the weights of the newest claim's i-th student of an arm, or None where they are gone."""
    path = store.path / "confirm" / f"round{len(store.records.evidence) - 1}" / f"{arm}-{i}.safetensors"
    return load_file(path) if path.exists() else None


def study_path(request: Request, data: Dataset) -> Path:
    """Return the folder of the study that a request means.

    Raises:
      StudyError: its name is not that of a folder.
    """
    name = data.task.dataset if request.study is None else request.study
    if name in ("", ".", "..") or any(mark in name for mark in "/\\"):
        raise StudyError(f"--study {name!r}: the name of a study is the name of a folder, not a path")
    return request.studies_dir / name


def _check(request: Request, data: Dataset, space: Space, identity: Mapping[str, Any]) -> None:
    """Refuse a folder that is no study, an existing study that differs, and a budget that no student meets."""
    path = study_path(request, data)
    if (path / "study.yaml").exists() and not request.fresh:
        _refuse_another(path, read_settings(path)["identity"], identity)
        return
    refuse_foreign(path)
    population(space, data.task, request.seed)


def _refuse_another(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    different = differences(*_comparable(old, _plain(new)))
    if different:
        lines = "\n".join(f"  {line}" for line in different)
        raise StudyError(
            f"study {path.name!r} was made with other settings:\n{lines}\n"
            "use --study NAME for a new study, or --fresh to delete this one and start again"
        )


def _comparable(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Leave out what is not known yet (a teacher still to be trained) and where the same data lie."""
    for one in (old, new):
        data, teacher = dict(one["data"]), dict(one["teacher"])
        if old["data"]["fingerprint"] == new["data"]["fingerprint"]:
            data["reference"] = {key: item for key, item in data["reference"].items() if key != "component"}
        if new["teacher"]["fingerprint"] is None:
            del teacher["fingerprint"]
        yield {**one, "data": data, "teacher": teacher}


@contextlib.contextmanager
def _opened(request: Request, prepared: Prepared) -> Iterator[StudyStore]:
    path = study_path(request, prepared.data)
    if request.fresh and (path / "study.yaml").exists():
        delete(path)
    store = _resume(path, prepared) if (path / "study.yaml").exists() else _create(path, prepared)
    try:
        yield store
    finally:
        store.close()


def _resume(path: Path, prepared: Prepared) -> StudyStore:
    store = StudyStore.open(path, read_only=False)
    try:
        _refuse_another(path, store.settings["identity"], prepared.identity)
    except StudyError:
        store.close()
        raise
    changed = {"identity": prepared.identity, "settings": prepared.settings, "machine": _machine(prepared.device)}
    store.update(_plain(changed))
    return store


def _create(path: Path, prepared: Prepared) -> StudyStore:
    task = prepared.data.task
    settings = {
        "identity": prepared.identity,
        "settings": prepared.settings,
        "versions": _versions(),
        "machine": _machine(prepared.device),
        "data": {
            "name": task.dataset,
            "modality": task.modality,
            "classes": list(task.classes),
            "input_shape": list(task.input_shape),
            "train": len(prepared.data.train),
            "validation": len(prepared.data.validation),
            "test": prepared.data.card["samples"]["test"],
            "card": prepared.data.card,
            "task": dataclasses.asdict(task),
        },
        "teacher": _teacher_facts(prepared),
        "dropped": list(prepared.space.dropped),
    }
    return StudyStore.create(path, _plain(settings), prepared.space_text)


def _run(store: StudyStore, prepared: Prepared, request: Request, notify: Notify) -> None:
    context = TrainContext(data=prepared.data, teacher=prepared.teacher, device=prepared.device, bank=TeacherBank())
    screener = _screener(prepared, context, SCREENED[:-1])
    with _timed(store, "screen"):
        _screen(store, prepared, screener, notify)
    executor = InlineExecutor(context)
    mirror = Mirror(store)
    explorer = Explorer(
        space=prepared.space,
        task=prepared.data.task,
        log=store.log,
        executor=executor,
        screener=screener,
        rung_epochs=rung_plan(prepared.budget),
        eta=prepared.budget.eta,
        seed=request.seed,
        folder=store.path / "trials",
        has_teacher=prepared.teacher is not None,
        enqueue=prepared.space.screen.enqueue,
    )
    may_ask = _clock(store, prepared.budget, request.time)

    def on_change() -> None:
        mirror.update()
        _tell_explore(store, prepared.budget, notify)

    with _timed(store, "explore"):
        explorer.run(prepared.budget.trials, may_ask, on_change)
    with _timed(store, "confirm"):
        _confirm(store, prepared, request, context, executor, notify)


def _screen(store: StudyStore, prepared: Prepared, screener: Screener, notify: Notify) -> None:
    if store.records.screen:
        return
    students, share = population(prepared.space, prepared.data.task, screener.seed)
    if share < FEW:
        smallest = min(students, key=lambda s: student_cost(component_from_plain("students", s), prepared.data.task))
        log.warning(
            "only %.1f %% of the space's students lie inside the budget; the smallest is %s", 100 * share, smallest
        )
    rows = screen(screener, students, lambda done, total: notify(Progress(stage="screen", done=done, total=total)))
    store.log.append("screen", students=rows)


def _confirm(
    store: StudyStore,
    prepared: Prepared,
    request: Request,
    context: TrainContext,
    executor: InlineExecutor,
    notify: Notify,
) -> None:
    records = store.records
    if records.evidence and records.evidence[-1]["trials"] >= len(records.trials):
        return
    total, number = run_count(prepared.budget, has_teacher=prepared.teacher is not None), len(records.evidence)

    def tell() -> None:
        runs = [run for run in records.runs if run.round == number]
        best = max((run.score for run in runs), default=None)
        note = f"{runs[-1].stage} {runs[-1].arm}" if runs else ""
        over = len(records.evidence) > number  # runs that two arms share are trained once: there may be fewer
        notify(Progress(stage="confirm", done=len(runs), total=len(runs) if over else total, best=best, note=note))

    tell()
    Confirmer(
        log=store.log,
        executor=executor,
        context=context,
        budget=prepared.budget,
        seed=request.seed,
        folder=store.path,
        on_change=tell,
    ).run()
    tell()


def _tell_explore(store: StudyStore, budget: Budget, notify: Notify) -> None:
    trials = list(store.records.trials.values())
    best = store.best
    notify(
        Progress(
            stage="explore",
            done=sum(1 for trial in trials if trial.rungs or trial.failure),
            total=budget.trials,
            best=None if best is None else best.score,
            failures=sum(1 for trial in trials if trial.failure),
            note=_note(trials[-1]) if trials else "",
        )
    )


def _note(trial: TrialRecord) -> str:
    losses = "+".join(trial.pipeline["losses"])
    return f"trial {trial.number}: {trial.pipeline['student']['use']}, {losses}"


def _screener(prepared: Prepared, context: TrainContext, shown: Sequence[str]) -> Screener:
    ranked_by = usable_proxies(prepared.space.screen.proxies, context)
    also = usable_proxies(shown, context)
    names = tuple(dict.fromkeys([*ranked_by, *also]))
    return Screener(context=context, proxies=names, ranked_by=ranked_by, seed=prepared.identity["seed"])


def _clock(store: StudyStore, budget: Budget, limit: float | None) -> Callable[[], bool]:
    """Return whether a new trial may start: time spent so far, in all sessions, less the expected cost of confirm."""
    began, before = time.monotonic(), sum(store.records.seconds.values())

    def may_ask() -> bool:
        if limit is None or not store.records.trials:
            return True
        trials = list(store.records.trials.values())
        confirm = run_count(budget, has_teacher=True) * budget.confirm_epochs * seconds_per_epoch(trials)
        return before + time.monotonic() - began < limit - confirm

    return may_ask


@contextlib.contextmanager
def _timed(store: StudyStore, stage: str) -> Iterator[None]:
    began = time.monotonic()
    try:
        yield
    finally:
        store.log.append("seconds", stage=stage, seconds=round(time.monotonic() - began, 3))


@contextlib.contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Also write autokd's log to the study's folder."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    try:
        yield
    except AutokdError:
        raise
    except Exception as error:  # it goes on its way; the log keeps its traceback, and the error says where that is
        error.add_note(f"the traceback is in {path}")
        with path.open("a", encoding="utf-8") as file:
            file.write(traceback.format_exc())
        raise
    finally:
        log.removeHandler(handler)
        handler.close()


def _given_teacher(
    request: Request, data: Dataset, budget: Budget, device: torch.device
) -> tuple[Teacher | None, Mapping[str, Any], Shapes]:
    """Return the teacher that was given (None: one is to be trained), its plain reference, and what it offers."""
    if request.teacher is None:
        return None, default_teacher.reference(budget.teacher_epochs), default_teacher.offers(data.task)
    teacher = load_teacher(request.teacher, data.task).to(device)
    return teacher, describe(request.teacher), teacher.offers


def _trained_teacher(data: Dataset, budget: Budget, device: torch.device, notify: Notify) -> Teacher:
    def tell(done: int, total: int) -> None:
        notify(Progress(stage="teacher", done=done, total=total, note="training a teacher"))

    return default_teacher.obtain(data, budget.teacher_epochs, device, tell)


def _teacher_facts(prepared: Prepared) -> dict[str, Any] | None:
    teacher = prepared.teacher
    if teacher is None:
        return None
    context = TrainContext(data=prepared.data, teacher=teacher, device=prepared.device, bank=TeacherBank())
    logits = predict_teacher(teacher, context.validation_data)
    own = prepared.teacher_reference.get("use") == "trained"
    return {
        "origin": teacher.origin,
        "fingerprint": teacher.fingerprint,
        "validation_accuracy": metrics(logits, prepared.data.validation.labels).accuracy,
        "params": teacher.params,
        "may_have_seen_validation": not own,
        "offers": shapes_to_plain(teacher.offers),
    }


def _budget(space_budget: Budget, request: Request) -> Budget:
    changed: dict[str, Any] = {}
    if request.trials is not None:
        changed["trials"] = request.trials
    if request.epochs is not None:
        changed.update(epochs=request.epochs, confirm_epochs=request.epochs)
    return dataclasses.replace(space_budget, **changed)


def _settings(request: Request, budget: Budget, space: Space, device: torch.device, source: str) -> dict[str, Any]:
    """Each value with its origin: asked, the environment's variable, the space file, or the default."""

    def from_file(given: Any, value: Any) -> dict[str, Any]:
        return {"value": value, "from": "space file" if given is None else "asked"}

    def or_default(given: Any, value: Any) -> dict[str, Any]:
        return {"value": value, "from": "default" if given is None else "asked"}

    def from_environment(given: Any, variable: str, default: Any) -> dict[str, Any]:
        if given is None and os.environ.get(variable):
            return {"value": os.environ[variable], "from": variable}
        return or_default(given, default if given is None else given)

    data_dir = request.data_options.get("data_dir")
    return {
        "trials": from_file(request.trials, budget.trials),
        "epochs": from_file(request.epochs, budget.epochs),
        "max_params": from_file(request.max_params, space.constraints.get("params")),
        "max_macs": from_file(request.max_macs, space.constraints.get("macs")),
        "time": or_default(request.time, request.time),
        "space": or_default(request.space, source),
        "device": or_default(None if request.device == "auto" else request.device, str(device)),
        "seed": or_default(request.seed or None, request.seed),
        "data_dir": from_environment(data_dir, "AUTOKD_DATA", None),
        "cache": from_environment(None, "AUTOKD_CACHE", cache_dir()),
    }


def _measure(prepared: Prepared) -> float:
    """Seconds of training the default pipeline on one sample, measured on a few."""
    data = prepared.data
    count = min(TIMED_SAMPLES, len(data.train))
    small = _Sample(data, Split(data.train.inputs[:count], data.train.labels[:count]))
    context = TrainContext(data=small, teacher=None, device=prepared.device, bank=TeacherBank())  # type: ignore[arg-type]
    pipeline = baseline(prepared.space.default(), "ce", prepared.space).plain
    outcomes = [run_job(context, RungJob(pipeline=pipeline, seed=0, view_seed=0, horizon=2, until=2)) for _ in range(2)]
    if outcomes[-1].result is None:
        raise NothingFeasible(f"the space's default pipeline does not train: {outcomes[-1].failure}")
    return outcomes[-1].result.seconds / (2 * count)


class _Sample:
    """A dataset with a part of its training split."""

    def __init__(self, data: Dataset, train: Split) -> None:
        self.task: Task = dataclasses.replace(data.task, train_size=len(train))
        self.train = train
        self.validation = Split(data.validation.inputs[: len(train)], data.validation.labels[: len(train)])


def _machine(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {"device": str(device), "name": name, "threads": torch.get_num_threads(), "system": platform.platform()}


def _versions() -> dict[str, str]:
    def of(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "unknown"

    names = ("autokd", "torch", "torchvision", "optuna", "numpy", "scikit-learn")
    return {"python": platform.python_version(), "pipeline_format": str(spec_module.FORMAT)} | {n: of(n) for n in names}


def _plain(value: Any) -> Any:
    """Return nested data with tuples as lists and numpy scalars as numbers, as YAML and JSON keep it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    item = getattr(value, "item", None)
    return item() if callable(item) else value
