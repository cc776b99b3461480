"""The whole funnel on one study: open it, then screen, explore and confirm."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from autokd import spec as spec_module
from autokd.data import Dataset
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict_teacher
from autokd.engine.precision import cpu_has_bfloat16
from autokd.engine.views import to_device
from autokd.errors import AutokdError, StudyError
from autokd.execution.executor import Executor, Stop
from autokd.execution.inline import InlineExecutor
from autokd.execution.setup import make_setup
from autokd.execution.workers import Launch, WorkerExecutor
from autokd.files import as_plain
from autokd.metrics import Metric, measure, predictions
from autokd.networks.cost import student_cost
from autokd.networks.models import shapes_to_plain
from autokd.search.confirm.confirmer import Confirmer, run_count
from autokd.search.explore.explorer import Explorer
from autokd.search.prepare import (
    Prepared,
    context_of,
    prepare,
    refuse_another,
    study_path,
)
from autokd.search.request import Notify, Progress, Request, pick_device
from autokd.search.screen.screen import FEW, LatencyMeter, Screener, population, screen, usable_proxies
from autokd.search.seed_noise import SEEDS as NOISE_SEEDS
from autokd.search.seed_noise import NoiseStage
from autokd.search.timing.clock import Clock, seconds_per_epoch, spent
from autokd.search.timing.dry_run import Plan, bank_plan, plan
from autokd.search.timing.fit import confirm_epochs, rung_plan, sizes_of
from autokd.search.tpe.database import database_url
from autokd.search.tpe.mirror import Mirror
from autokd.spec import component_from_plain
from autokd.study.records import TrialRecord
from autokd.study.store import StudyStore, delete

__all__ = [
    "Notify",
    "Plan",
    "Prepared",
    "Progress",
    "Request",
    "pick_device",
    "plan",
    "prepare",
    "screen_only",
    "search",
]

log = logging.getLogger("autokd")

SCREENED = ("params", "macs", "nwot", "diswot", "latency")
"""Proxies that `autokd screen` shows; a search leaves out the last, which is not reproducible."""

SCREEN_SHARE = 0.05
"""Of the time left that screening may take."""
NOISE_SHARE = 0.25
"""Of explore's time left that measuring the noise may take; else it is left out."""

OnClaim = Callable[[StudyStore, Dataset], None]


def search(request: Request, notify: Notify, on_claim: OnClaim, stop: Stop | None = None) -> StudyStore:
    """Run the funnel, or go on with it; return the study, closed.

    Args:
      request: what was asked.
      notify: called as the search goes on.
      on_claim: called after a new claim, while the study is still locked.
      stop: may be told to stop the search while it runs.

    Raises:
      UserError: bad input, or an existing study that differs from what is asked.
      Interrupted: `stop` was told so.
      TooManyFailures: trials failed again and again.
      NothingFeasible: no student inside the budget, or no trial finished.
    """
    if request.storage is not None:
        database_url(request.storage)  # refused before anything is trained
    prepared = prepare(request, notify)
    with _opened(request, prepared) as store, _log_file(store.path / "log.txt"):
        clock = Clock(request.time, before=spent(store.records), began=request.began)
        store.log.append("seconds", stage="prepare", seconds=round(time.monotonic() - request.began, 3))
        if prepared.time_plan is not None:
            notify(Progress(stage="plan", done=1, total=1, note=prepared.time_plan.reason))
        claims = len(store.records.evidence)
        _run(store, prepared, request, clock, notify, stop or Stop())
        if len(store.records.evidence) > claims or not (store.path / "best").exists():
            on_claim(store, prepared.data)
        return store


def screen_only(request: Request, notify: Notify) -> list[dict[str, Any]]:
    """Rank the space's students without training them or writing anything; see `autokd.search.screen.screen.screen`."""
    prepared = prepare(request, notify, for_study=False)
    context = context_of(prepared, request)
    screener = _screener(prepared, context, SCREENED)
    known: dict[str, float] = {}
    meter = _meter(prepared, known, known.__setitem__)
    students, _ = population(prepared.space, prepared.data.task, request.seed, meter=meter)
    return screen(screener, students, lambda done, total: notify(Progress(stage="screen", done=done, total=total)))


def claimed_student(store: StudyStore, arm: str, i: int) -> Mapping[str, torch.Tensor] | None:
    """Return the weights of the newest claim's i-th student of an arm, or None where they are gone."""
    path = store.path / "confirm" / f"round{len(store.records.evidence) - 1}" / f"{arm}-{i}.safetensors"
    return load_file(path) if path.exists() else None


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
        refuse_another(path, store.settings["identity"], prepared.identity)
    except StudyError:
        store.close()
        raise
    changed = {"identity": prepared.identity, "settings": prepared.settings, "machine": _machine(prepared.device)}
    store.update(as_plain(changed))
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
        "time_plan": None if prepared.time_plan is None else prepared.time_plan._asdict(),
    }
    return StudyStore.create(path, as_plain(settings), prepared.space_text)


def _run(store: StudyStore, prepared: Prepared, request: Request, clock: Clock, notify: Notify, stop: Stop) -> None:
    context = context_of(prepared, request)
    began, threads = time.monotonic(), torch.get_num_threads()
    torch.set_num_threads(prepared.threads)
    try:
        with _executor(store, prepared, request, context, stop) as executor:
            _stages(store, prepared, request, context, executor, clock, notify)
    finally:
        torch.set_num_threads(threads)
        context.bank.close()
        store.log.append("bank", **context.bank.counts.as_plain())
        if request.profile:
            store.log.append("profile", total=time.monotonic() - began, parts=context.profile.seconds)


@contextlib.contextmanager
def _executor(
    store: StudyStore, prepared: Prepared, request: Request, context: TrainContext, stop: Stop
) -> Iterator[Executor]:
    """Train in this process, or in local workers that end with the search."""
    executor: Executor
    if request.workers is None:
        executor = InlineExecutor(context, stop=stop)
    else:
        executor = WorkerExecutor(
            make_setup(context, prepared.teacher_reference, threads=prepared.threads, workers=request.workers),
            request.workers,
            stop=stop,
            counts=context.bank.counts,
            profile=context.profile,
            launch=Launch(log_file=store.path / "workers.log"),
        )
    try:
        yield executor
    finally:
        executor.close()


def _stages(
    store: StudyStore,
    prepared: Prepared,
    request: Request,
    context: TrainContext,
    executor: Executor,
    clock: Clock,
    notify: Notify,
) -> None:
    notify(Progress(stage="bank", done=1, total=1, note=str(bank_plan(prepared))))
    screener = _screener(prepared, context, SCREENED[:-1])
    meter = _recording_meter(store, prepared)
    with _timed(store, "screen"):
        _screen(store, prepared, screener, meter, clock, notify)
    explorer = Explorer(
        space=prepared.space,
        task=prepared.data.task,
        log=store.log,
        executor=executor,
        screener=screener,
        rung_epochs=rung_plan(prepared.budget),
        eta=prepared.budget.eta,
        branch=prepared.budget.branch,
        seed=request.seed,
        folder=store.path / "trials",
        offers=None if prepared.teacher is None else prepared.teacher.offers,
        objective=prepared.objective,
        meter=meter,
        enqueue=prepared.space.screen.enqueue,
        slots=prepared.identity["slots"],
        max_failures=request.max_failures,
        profile=context.profile,
    )
    budget, most = prepared.budget, _most_trials(prepared, request)
    grid = prepared.time_plan is None or prepared.time_plan.grid
    to_confirm = confirm_epochs(budget, sizes_of(prepared.data), grid=grid, workers=executor.capacity)
    baselines = 2 if explorer.has_teacher else 1

    def may_begin(seconds: float) -> bool:
        """Whether a rung that takes so long may begin, so that confirm can still follow; the baselines' always may."""
        if sum(bool(trial.rungs or trial.failure) for trial in store.records.trials.values()) < baselines:
            return True
        return clock.left_to_explore(store.records, to_confirm) >= seconds

    with Mirror(store, request.storage) as mirror:

        def on_change() -> None:
            with context.profile.part("storage"):
                mirror.update()
            _tell_explore(store, prepared.objective.metric, most, clock, notify)

        with _timed(store, "explore"):
            if len(store.records.trials) <= baselines:  # else it was done when there were no others
                explorer.run(min(baselines, most), may_begin, on_change)
                pace = seconds_per_epoch(store.records.trials.values()) / executor.capacity
                if may_begin(NOISE_SEEDS * budget.epochs * pace / NOISE_SHARE):
                    _measure_noise(store, prepared, executor, on_change)
            explorer.run(most, may_begin, on_change)
        with _timed(store, "confirm"):
            _confirm(store, prepared, context, executor, meter, clock, notify, mirror.update)


def _most_trials(prepared: Prepared, request: Request) -> int:
    """Trials that explore tries, baselines included: without end where only the time is limited."""
    return sys.maxsize if request.time is not None and request.trials is None else prepared.budget.trials


def _measure_noise(store: StudyStore, prepared: Prepared, executor: Executor, on_change: Callable[[], None]) -> None:
    """Train the better baseline under a few seeds: how much a score changes with the seed alone."""
    NoiseStage(
        log=store.log,
        executor=executor,
        epochs=rung_plan(prepared.budget)[-1],
        seed=prepared.identity["seed"],
        folder=store.path,
        on_change=on_change,
        worst=prepared.objective.metric.worst_score,
    ).run()


def _meter(prepared: Prepared, known: Mapping[str, float], record: Callable[[str, float], None]) -> LatencyMeter:
    offers = None if prepared.teacher is None else prepared.teacher.offers
    return LatencyMeter(prepared.data.task, prepared.device, offers, prepared.threads, known, record)


def _recording_meter(store: StudyStore, prepared: Prepared) -> LatencyMeter | None:
    """What measures latencies, each recorded before it is used; None where nothing depends on them."""
    if not prepared.measures_latency:
        return None

    def record(network: str, milliseconds: float) -> None:
        store.log.append("latency", network=network, milliseconds=milliseconds)

    for network, milliseconds in prepared.latencies.items():
        if network not in store.records.latencies:
            record(network, milliseconds)
    return _meter(prepared, store.records.latencies, record)


def _screen(
    store: StudyStore,
    prepared: Prepared,
    screener: Screener,
    meter: LatencyMeter | None,
    clock: Clock,
    notify: Notify,
) -> None:
    if store.records.screen:
        return
    students, share = population(prepared.space, prepared.data.task, screener.seed, meter=meter)
    if share < FEW:
        smallest = min(students, key=lambda s: student_cost(component_from_plain("students", s), prepared.data.task))
        log.warning(
            "only %.1f %% of the space's students lie inside the budget; the smallest is %s", 100 * share, smallest
        )
    end = (1 - SCREEN_SHARE) * clock.left
    rows = screen(
        screener,
        students,
        lambda done, total: notify(Progress(stage="screen", done=done, total=total)),
        enough=lambda: clock.left < end,
    )
    store.log.append("screen", students=rows)


def _confirm(
    store: StudyStore,
    prepared: Prepared,
    context: TrainContext,
    executor: Executor,
    meter: LatencyMeter | None,
    clock: Clock,
    notify: Notify,
    on_change: Callable[[], None],
) -> None:
    records = store.records
    if records.evidence and records.evidence[-1]["trials"] >= len(records.trials):
        return
    total, number = run_count(prepared.budget, has_teacher=prepared.teacher is not None), len(records.evidence)
    metric = prepared.objective.metric

    def tell() -> None:
        on_change()
        runs = [run for run in records.runs if run.round == number and run.stage != "noise"]
        best = max((metric.value(run.score) for run in runs), key=metric.score, default=None)
        note = f"{runs[-1].stage} {runs[-1].arm}" if runs else ""
        over = len(records.evidence) > number  # runs that two arms share are trained once: there may be fewer
        notify(
            Progress(
                stage="confirm",
                done=len(runs),
                total=len(runs) if over else total,
                best=best,
                metric=metric.name,
                note=note,
            )
        )

    tell()
    Confirmer(
        log=store.log,
        executor=executor,
        context=context,
        budget=prepared.budget,
        seed=prepared.identity["seed"],
        folder=store.path,
        clock=clock,
        on_change=tell,
        objective=prepared.objective,
        meter=meter,
    ).run()
    tell()


def _tell_explore(store: StudyStore, metric: Metric, most: int, clock: Clock, notify: Notify) -> None:
    trials = list(store.records.trials.values())
    best, done = store.best, sum(1 for trial in trials if trial.rungs or trial.failure)
    notify(
        Progress(
            stage="explore",
            done=done,
            total=most if most < sys.maxsize else max(done, round(done * clock.pace)),
            best=None if best is None or best.score is None else metric.value(best.score),
            metric=metric.name,
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


@contextlib.contextmanager
def _timed(store: StudyStore, stage: str) -> Iterator[None]:
    began = time.monotonic()
    try:
        yield
    finally:
        store.log.append("seconds", stage=stage, seconds=round(time.monotonic() - began, 3))


class _LogFile(logging.FileHandler):
    """A log file whose full disk is nobody's concern: the records are."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Pass over it."""


@contextlib.contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Also write autokd's log to the study's folder."""
    handler = _LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    try:
        yield
    except AutokdError:
        raise
    except Exception as error:  # it goes on its way; the log keeps its traceback, and the error says where that is
        error.add_note(f"the traceback is in {path}")
        with contextlib.suppress(OSError), path.open("a", encoding="utf-8") as file:
            file.write(traceback.format_exc())
        raise
    finally:
        log.removeHandler(handler)
        handler.close()


def _teacher_facts(prepared: Prepared) -> dict[str, Any] | None:
    teacher = prepared.teacher
    if teacher is None:
        return None
    validation = to_device(prepared.data.validation, prepared.data.task, prepared.device)
    logits = predict_teacher(teacher, validation)
    values = measure(predictions(logits, prepared.data.validation.labels))
    own = prepared.teacher_reference.get("use") == "trained"
    return {
        "origin": teacher.origin,
        "fingerprint": teacher.fingerprint,
        "validation_accuracy": values["accuracy"],
        "validation_metrics": values,
        "params": teacher.params,
        "may_have_seen_validation": not own,
        "offers": shapes_to_plain(teacher.offers),
    }


def _machine(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "device": str(device),
        "name": name,
        "threads": torch.get_num_threads(),
        "native_bfloat16": device.type == "cuda" or cpu_has_bfloat16(),
        "system": platform.platform(),
    }


def _versions() -> dict[str, str]:
    def of(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "unknown"

    names = ("autokd", "torch", "torchvision", "optuna", "numpy", "scikit-learn")
    return {"python": platform.python_version(), "pipeline_format": str(spec_module.FORMAT)} | {n: of(n) for n in names}
