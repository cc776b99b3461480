"""The whole funnel on one study: open it, then run its stages."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch

from autokd import catalog
from autokd.engine.context import TrainContext
from autokd.errors import Interrupted, StudyError
from autokd.execution.executor import Executor, Stop
from autokd.execution.inline import InlineExecutor
from autokd.execution.preparing import PreparingExecutor
from autokd.execution.setup import make_setup
from autokd.execution.workers import Launch, WorkerExecutor
from autokd.search.device import pick_device
from autokd.search.dry_run import Plan, plan, plan_bank
from autokd.search.facts import describe_machine, describe_study, with_versions_now
from autokd.search.identity import refuse_another
from autokd.search.limits import Meter
from autokd.search.log_file import log_file
from autokd.search.population import population
from autokd.search.prepare import context_of, prepare, study_path
from autokd.search.rare import rare_line
from autokd.search.request import Notify, Progress, Request, Screening
from autokd.search.samples import keep_samples
from autokd.search.screen.screen import screen
from autokd.search.screen.screener import SHOWN, make_screener
from autokd.search.screen.stage import tell_left_out, tell_not_finite
from autokd.search.session import Session, Setup
from autokd.search.stages import STAGES, works
from autokd.search.timing.clock import Clock, spent
from autokd.search.timing.fit import TRAIN_SHARE
from autokd.study.choice import ScreenedStudent
from autokd.study.proxies import SIZES
from autokd.study.store import StudyStore, delete

__all__ = [
    "Ended",
    "Notify",
    "Plan",
    "Progress",
    "Request",
    "Screening",
    "Setup",
    "pick_device",
    "plan",
    "prepare",
    "screen_only",
    "search",
]

log = logging.getLogger("autokd")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ended:
    """What a search hands over at its end, while its study is still locked.

    Args:
      store: the study.
      asked: what the user asked for.
      setup: what was prepared from it.
      clock: how much of the whole time is left.
      notify: tells the user.
      stop: may be told to stop.
      is_new: whether this session made the claim.
    """

    store: StudyStore
    asked: Request
    setup: Setup
    clock: Clock
    notify: Notify
    stop: Stop
    is_new: bool


OnEnd = Callable[[Ended], None]


def search(request: Request, notify: Notify, on_end: OnEnd, stop: Stop | None = None) -> StudyStore:
    """Run the funnel, or go on with it; return the study, closed.

    Args:
      request: what was asked.
      notify: called as the search goes on.
      on_end: called when all stages are over, while the study is still locked.
      stop: may be told to stop the search while it runs.

    Raises:
      UserError: bad input, or an existing study that differs from what is asked.
      Interrupted: `stop` was told so.
      TooManyFailures: trials failed again and again.
      NothingFeasible: no student inside the budget, or no trial finished.
    """
    if request.storage is not None:
        from autokd.search.tpe.database import database_url  # Optuna is slow to import

        database_url(request.storage)  # refused before anything is trained
    stop = stop or Stop()
    setup = prepare(request, _ended_by(stop, notify))
    with _opened(request, setup) as store, log_file(store.path / "log.txt"):
        before = spent(store.records)
        clock = Clock(_search_time(request), before=before, began=request.began)
        store.log.append("seconds", stage="prepare", seconds=round(time.monotonic() - request.began, 3))
        if setup.time_plan is not None:
            notify(Progress(stage="plan", done=1, total=1, note=setup.time_plan.reason))
        tell_rare_classes(setup)
        claims = len(store.records.claims)
        with _session(store, request, setup, clock, notify, stop) as session:
            for stage in STAGES:
                with session.timed(stage.name):
                    stage.run(session)
        on_end(
            Ended(
                store=store,
                asked=request,
                setup=setup,
                clock=Clock(request.time, before=before, began=request.began),
                notify=notify,
                stop=stop,
                is_new=len(store.records.claims) > claims,
            )
        )
        return store


def _ended_by(stop: Stop, notify: Notify) -> Notify:
    """Tell, and leave where that was asked for: no executor looks after what comes before the first trial."""

    def tell(at: Progress) -> None:
        if stop.leaving or (stop.draining and at.waiting):
            raise Interrupted
        notify(at)

    return tell


def _search_time(request: Request) -> float | None:
    """The seconds that the stages may take: all, but for what the training at the end is to have."""
    kept = TRAIN_SHARE if request.train else 0.0
    return None if request.time is None else (1 - kept) * request.time


def tell_rare_classes(setup: Setup) -> None:
    """Warn of classes that are rare in the training samples."""
    text = rare_line(setup)
    if text:
        log.warning("%s", text)


def screen_only(asked: Screening, notify: Notify) -> list[ScreenedStudent]:
    """Screen the space's students without training them or writing anything; see `autokd.search.screen.screen`."""
    catalog.load_plugins(*(asked.plugins or ()))
    for name in asked.proxy or ():
        catalog.load("proxies", name)  # refused before anything is trained
    request = Request(**{name: value for name, value in vars(asked).items() if name != "proxy"}, cold=True)
    setup = prepare(request, notify, for_study=False)
    context = context_of(setup, request)
    named = asked.proxy or setup.space.screen.proxies
    screener = make_screener([*named, *(() if asked.proxy else SHOWN), "latency"], context, request.seed)
    tell_left_out(screener.left_out, named)
    latencies = dict(setup.latencies)
    meter = _meter(setup, latencies, latencies.__setitem__)
    students, _ = population(setup.space, setup.data.task, request.seed, meter=meter)
    rows = screen(
        screener, students, lambda done, total: notify(Progress(stage="screen", done=done, total=total)), by=SIZES
    )
    tell_not_finite(rows)
    return rows


@contextlib.contextmanager
def _opened(request: Request, setup: Setup) -> Iterator[StudyStore]:
    path = study_path(request, setup.data)
    if request.fresh and (path / "study.yaml").exists():
        delete(path)
    store = (
        _resume(path, setup)
        if (path / "study.yaml").exists()
        else _create(path, setup, with_samples=not request.no_samples)
    )
    try:
        yield store
    finally:
        store.close()


def _resume(path: Path, setup: Setup) -> StudyStore:
    store = StudyStore.open(path, read_only=False)
    try:
        refuse_another(path, store.settings.identity, setup.identity)
    except StudyError:
        store.close()
        raise
    machine = describe_machine(setup.device)
    versions = with_versions_now(store.settings.versions)
    of_now = dataclasses.replace(store.settings, machine=machine, versions=versions)
    store.update(dataclasses.replace(of_now, identity=setup.identity, settings=setup.settings))
    return store


def _create(path: Path, setup: Setup, *, with_samples: bool) -> StudyStore:
    store = StudyStore.create(path, describe_study(setup), setup.space_text)
    if setup.past is not None and setup.past.students:
        studies = [[dataclasses.asdict(student) for student in study] for study in setup.past.students]
        store.log.append("past_students", studies=studies)
    if with_samples:
        keep_samples(path, setup.data)
    return store


@contextlib.contextmanager
def _session(
    store: StudyStore, request: Request, setup: Setup, clock: Clock, notify: Notify, stop: Stop
) -> Iterator[Session]:
    """What the stages share, with the threads that rungs compute on; what it was like is recorded at the end."""
    from autokd.search.tpe.mirror import Mirror  # Optuna is slow to import

    context = context_of(setup, request)
    began, threads = time.monotonic(), torch.get_num_threads()
    torch.set_num_threads(setup.threads)
    notify(Progress(stage="bank", done=1, total=1, note=str(plan_bank(setup))))
    try:
        with _executor(store, setup, request, context, stop) as executor, Mirror(store, request.storage) as mirror:
            yield Session(
                store=store,
                asked=request,
                setup=setup,
                context=context,
                executor=executor,
                clock=clock,
                notify=notify,
                mirror=mirror,
                works=works,
                meter=_recording_meter(store, setup),
            )
    finally:
        torch.set_num_threads(threads)
        context.bank.close()
        store.log.append("bank", **context.bank.counts.as_plain())
        if request.profile:
            store.log.append("profile", total=time.monotonic() - began, parts=context.profile.seconds)


@contextlib.contextmanager
def _executor(
    store: StudyStore, setup: Setup, request: Request, context: TrainContext, stop: Stop
) -> Iterator[Executor]:
    """Train in this process, or in local workers that end with the search."""
    executor: Executor
    if request.workers is None:
        executor = InlineExecutor(context, stop=stop)
    else:
        reference = setup.identity.teacher.reference or {}
        executor = WorkerExecutor(
            make_setup(context, reference, threads=setup.threads, workers=request.workers),
            request.workers,
            stop=stop,
            counts=context.bank.counts,
            profile=context.profile,
            launch=Launch(log_file=store.path / "workers.log"),
        )
    try:
        yield PreparingExecutor(
            inner=executor,
            context=context,
            record=lambda made: store.log.append("artefact", **{**made._asdict(), "seconds": round(made.seconds, 3)}),
        )
    finally:
        executor.close()


def _meter(setup: Setup, latencies: Mapping[str, float], record: Callable[[str, float], None]) -> Meter:
    offers = None if setup.teacher is None else setup.teacher.offers
    return Meter(setup.data.task, setup.device, offers, setup.threads, latencies, record, setup.measures)


def _recording_meter(store: StudyStore, setup: Setup) -> Meter | None:
    """What measures students, latencies recorded before they are used; None where nothing depends on that."""
    if setup.measures.nothing:
        return None

    def record(network: str, milliseconds: float) -> None:
        store.log.append("latency", network=network, milliseconds=milliseconds)

    for network, milliseconds in setup.latencies.items():
        if network not in store.records.latencies:
            record(network, milliseconds)
    return _meter(setup, store.records.latencies, record)
