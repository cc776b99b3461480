"""Everything before the first trial: data, teacher, space, budget; and refusing what cannot go on."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from autokd import catalog
from autokd.data import Dataset, load, with_finer
from autokd.engine.artefacts import Artefacts
from autokd.engine.context import TrainContext
from autokd.engine.profile import OFF, Profile
from autokd.engine.teacher_bank import TeacherBank
from autokd.errors import TeacherError
from autokd.files import cache_dir
from autokd.objective import Objective, of_names, of_plain
from autokd.recipes import largest_of_families
from autokd.search.device import pick_device
from autokd.search.facts import tell_versions
from autokd.search.given_teacher import Obtained, load_again, named, obtain_given, without_unanswered
from autokd.search.identity import collect_settings, refuse_another
from autokd.search.limits import Measures, Meter, checked, resolve_space, why_outside
from autokd.search.own_teacher import OwnTeacher, own_teacher
from autokd.search.past import begun_from, find_ground, past_of, refuse_another_past, told
from autokd.search.places import check_name, check_places
from autokd.search.population import refuse_impossible
from autokd.search.rare import asked_space
from autokd.search.request import Notify, Progress, Request
from autokd.search.rungs import rung_plan
from autokd.search.session import Setup, what_to_measure
from autokd.search.stages import works
from autokd.search.timing.fit import Asked
from autokd.search.timing.levels import quick_changes
from autokd.search.timing.measure import Probe
from autokd.search.timing.plan import ONE_SHARE, Teaching, Timing, Whole, make_time_plan, plan_teaching
from autokd.search.timing.room import refuse_too_large
from autokd.search.weights import begun_with, sized
from autokd.search.work import Funnel, Parallel
from autokd.space import Budget, Space, for_data, for_unlabelled
from autokd.study.records import RecordLog
from autokd.study.settings import Identity, Reference, StudySettings, TimePlan
from autokd.study.store import read_settings, refuse_foreign
from autokd.teaching.recipe import Effort
from autokd.teaching.taught import effort_of, is_taught
from autokd.types import Shapes, Task, Teacher

LATER = ("branch", "views")
"""Fields of the budget that earlier versions lack: 0 is what these did."""


class Loaded(NamedTuple):
    """What a request names, loaded.

    Args:
      data: the dataset.
      space: as its file has it.
      source: where the space is from.
      teacher: the given one; None: one is to be trained.
      given: what is known of the given one, or of one that was trained; or None.
      own: the teacher that is trained where none is given as it is.
      device: the device.
      objective: what the study is to be good at.
      before: what `study.yaml` says where the request goes on with a study, or None.
      parallel: rungs and runs at a time.
      threads: that a rung computes on.
      effort: that a teacher is trained with.
      latency_with: what latencies are measured with.
    """

    data: Dataset
    space: Space
    source: str
    teacher: Teacher | None
    given: Obtained | None
    own: OwnTeacher
    device: torch.device
    objective: Objective
    before: StudySettings | None
    parallel: Parallel
    threads: int
    effort: Effort
    latency_with: str

    @property
    def offers(self) -> Shapes:
        """What the teacher offers, or will offer once it is trained."""
        return self.own.offers(self.data.task, self.effort) if self.teacher is None else self.teacher.offers


def prepare(request: Request, notify: Notify, *, dry: bool = False, for_study: bool = True) -> Setup:
    """Load the data, resolve the space, obtain the teacher and fit the plan; nothing of the study is written.

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
    catalog.load_plugins(*(request.plugins or ()))
    request = without_unanswered(request)
    loaded = _load(request, notify, dry=dry)
    latencies = _known_latencies(request, loaded)
    if for_study:
        _check_study(request, loaded, latencies, dry=dry)
    elif not dry:
        refuse_impossible(_resolve(request, loaded), loaded.data.task, request.seed, _meter(loaded, latencies))
    teaching, whole = _teaching(request, loaded), None
    loaded = loaded._replace(effort=teaching.effort)
    if teaching.limit_train is not None:
        whole = Whole(len(loaded.data.train), loaded.data.task.fingerprint)
        loaded = _limited(request, loaded, teaching.limit_train, dry=dry)
    reference = loaded.own.reference(teaching.effort) if loaded.given is None else loaded.given.reference
    if for_study and loaded.before is not None:
        refuse_another_past(request, loaded.before)
        asked = _setup(request, loaded, reference, loaded.before.time_plan, latencies)
        refuse_another(study_path(request, loaded.data), loaded.before.identity, asked.identity)
    if loaded.teacher is None and not dry:
        trained = loaded.own.obtain(loaded.data, loaded.effort, loaded.device, notify)
        loaded = loaded._replace(teacher=trained.teacher, given=trained)
    setup = _setup(request, loaded, reference, _time_plan(request, loaded, teaching, whole), latencies)
    if setup.past is not None and loaded.before is None:
        notify(Progress(stage="past", done=1, total=1, note=told(setup.past)))
    return setup


def _limited(request: Request, loaded: Loaded, limit_train: int, *, dry: bool) -> Loaded:
    """The same with fewer training samples; a teacher that knows the samples by their ids is loaded for them."""
    data = load_data(request, dry=dry, limit_train=limit_train)
    teacher = loaded.teacher
    if teacher is not None and not teacher.offers.views:
        assert loaded.given is not None
        teacher = load_again(request, loaded.given, data, loaded.device)
    return loaded._replace(data=with_finer(data, teacher or loaded.own.begun, keep=not dry), teacher=teacher)


def _check_study(request: Request, loaded: Loaded, latencies: dict[str, float], *, dry: bool) -> None:
    """Refuse places where nothing can be kept, and what no study can be made of; tell of other versions than before."""
    if not dry:
        check_places(study_path(request, loaded.data))
    if loaded.before is None:
        _check_new(request, loaded, latencies)
    else:
        tell_versions(loaded.before)


def _setup(
    request: Request,
    loaded: Loaded,
    teacher: Mapping[str, Any],
    plan: TimePlan | None,
    latencies: dict[str, float],
) -> Setup:
    """Everything before the first trial, given the teacher's plain reference and the plan."""
    space = _resolve(request, loaded, plan)
    budget = _budget(loaded, request, plan)
    if is_taught(teacher):
        budget = dataclasses.replace(budget, teacher_epochs=effort_of(teacher, 0).epochs)
    ground = find_ground(space, loaded.offers, _meter(loaded, latencies), None if plan is None else plan.student)
    recipes = ground.recipes()
    reference = Reference(teacher, None if loaded.teacher is None else loaded.teacher.fingerprint)
    setup = Setup(
        data=loaded.data,
        space=space,
        space_text=space.text,
        teacher=loaded.teacher,
        teacher_line="" if loaded.given is None else loaded.given.line,
        teacher_remarks=() if loaded.given is None else loaded.given.remarks,
        begun=loaded.own.begun,
        offers=loaded.offers,
        budget=budget,
        device=loaded.device,
        identity=_identity(request, loaded, space, budget, reference),
        settings={},
        threads=loaded.threads,
        objective=loaded.objective,
        time_plan=plan,
        latencies=latencies,
        portfolio=recipes,
        elsewhere=ground.elsewhere(),
        students=ground.students,
        latency_with=loaded.latency_with,
        dropped=(*space.dropped, *recipes.dropped, *_dropped_warm_starts(space, loaded.data.task, loaded.offers)),
    )
    setup = begun_from(setup, ground, past_of(request, setup, ground, loaded.before))
    return dataclasses.replace(setup, settings=collect_settings(request, setup, loaded.source))


def _load(request: Request, notify: Notify, *, dry: bool) -> Loaded:
    """Load what the request names."""
    if request.study is not None:
        check_name(request.study)
    device = pick_device(request.device)
    data = load_data(request, dry=dry)
    path = study_path(request, data)
    before = None if request.fresh or not (path / "study.yaml").exists() else read_settings(path)
    found, source = asked_space(request, data, before)
    found = dataclasses.replace(for_unlabelled(found, data.task), budget=for_data(found.budget, data.task))
    space = begun_with(request, found)
    slots, threads = _slots(request, before)
    objective = checked(of_names(request.objective) if request.objective else of_plain(space.objective), request)
    _refuse_in_workers(request)
    own = own_teacher(request, data, device)
    given = obtain_given(request, data, device, before, notify) if own.begun is None else None
    space = own.budgeted(space, len(data.train))
    return Loaded(
        data=with_finer(data, own.begun if given is None else given.teacher, keep=not dry),
        space=space,
        source=source,
        teacher=None if given is None else given.teacher,
        given=given,
        own=own,
        device=device,
        objective=objective,
        before=before,
        parallel=Parallel(slots, request.workers or 1),
        threads=threads,
        effort=Effort(space.budget.teacher_epochs),
        latency_with=request.latency_with,
    )


def _refuse_in_workers(request: Request) -> None:
    """Refuse a teacher that other processes cannot load."""
    if request.workers is not None and any(one.in_python for one in named(request)):
        raise TeacherError(
            "a teacher that was handed over in Python lives in this process alone; leave workers out, or save it to a "
            "file and give its reference"
        )


def load_data(request: Request, *, dry: bool = False, **changed: Any) -> Dataset:
    """Load the dataset that was asked for, with some options changed; raises as `autokd.data.load` does."""
    return load(request.dataset, sized(dataclasses.replace(request, **changed)), dry=dry)


def _resolve(request: Request, loaded: Loaded, plan: TimePlan | None = None) -> Space:
    """The space that is left for the data, the teacher and the plan, within the limits that were asked for."""
    space = resolve_space(loaded.space, loaded.data.task, loaded.offers, request.limits, loaded.objective.metric)
    return space.without(plan.left_out) if plan is not None and plan.left_out else space


def _own_budget(loaded: Loaded) -> Budget:
    """The space file's budget; that of a study begun before rungs had side branches is without them."""
    without = loaded.before is not None and "branch" not in loaded.before.identity.budget
    return dataclasses.replace(loaded.space.budget, branch=0.0) if without else loaded.space.budget


def _slots(request: Request, before: StudySettings | None) -> tuple[int, int]:
    """The rungs under way at a time, and the threads of each: an existing study keeps its own."""
    if before is not None:
        return request.slots or before.identity.slots, int(before.setting("threads") or torch.get_num_threads())
    return request.slots or request.workers or 1, max(1, torch.get_num_threads() // (request.workers or 1))


def _teaching(request: Request, loaded: Loaded) -> Teaching:
    """What an existing study has, or what the time bears; without a limit, what the space file says."""
    own = _own_budget(loaded)
    if loaded.before is not None:
        plan, identity = loaded.before.time_plan, loaded.before.identity
        effort = effort_of(identity.teacher.reference, identity.budget_of(0).teacher_epochs)
        return Teaching(effort, None if plan is None else plan.limit_train)
    if request.time is None:
        return Teaching(Effort(own.teacher_epochs), None)
    may_limit = request.limit_train is None and not isinstance(request.dataset, Dataset)
    left = request.time - (time.monotonic() - request.began)
    return plan_teaching(_timing(request, loaded), left, own, _probe(request, loaded), may_limit=may_limit)


def _time_plan(request: Request, loaded: Loaded, teaching: Teaching, whole: Whole | None) -> TimePlan | None:
    """How the study fits into its time, an existing one as before; None without a limit."""
    if loaded.before is not None:
        return loaded.before.time_plan
    if request.time is None:
        return None
    own = dataclasses.replace(_own_budget(loaded), teacher_epochs=teaching.effort.epochs)
    return make_time_plan(_timing(request, loaded), request.began + request.time, own, _probe(request, loaded), whole)


def _timing(request: Request, loaded: Loaded) -> Timing:
    """What a plan is made for."""
    assert request.time is not None
    asked = Asked(request.trials, request.epochs, request.quick)
    return Timing(request.time, asked, request.train, Funnel(works, loaded.parallel))


def _probe(request: Request, loaded: Loaded) -> Probe:
    """What is measured."""
    return Probe(
        data=loaded.data,
        space=_resolve(request, loaded),
        teacher=loaded.teacher,
        offers=loaded.offers,
        device=loaded.device,
        threads=loaded.threads,
        effort=loaded.effort,
        begun=loaded.own.begun,
        seconds=ONE_SHARE * request.time if request.time is not None else math.inf,
    )


def _budget(loaded: Loaded, request: Request, plan: TimePlan | None) -> Budget:
    own = _own_budget(loaded)
    changed: dict[str, Any] = {} if plan is None else dict(plan.budget)
    if plan is None and request.quick:
        changed = quick_changes(own)
    if request.trials is not None:
        changed["trials"] = request.trials
    if request.epochs is not None:
        changed["epochs"] = request.epochs
    return dataclasses.replace(own, **changed)


def _identity(request: Request, loaded: Loaded, space: Space, budget: Budget, teacher: Reference) -> Identity:
    """What makes the study this study."""
    objective, on = loaded.objective, loaded.device
    device = torch.cuda.get_device_name(on) if on.type == "cuda" else on.type
    measures = what_to_measure(objective, space, loaded.latency_with)
    return Identity(
        space=space.identity(),
        objective=objective.as_plain(),
        objective_order=list(objective.names) if objective.several else None,
        latency_device=measures.where(device) if measures.latency else None,
        data=Reference(loaded.data.reference, loaded.data.task.fingerprint or None),
        teacher=teacher,
        rungs=rung_plan(budget),
        budget={k: v for k, v in dataclasses.asdict(budget).items() if k != "trials" and (v or k not in LATER)},
        seed=request.seed,
        slots=loaded.parallel.slots,
        bank_features=int(request.bank_bytes) if request.bank_features else None,  # decides how maps are rounded
    )


def _known_latencies(request: Request, loaded: Loaded) -> dict[str, float]:
    """The latencies that the study has on record where the request goes on with one."""
    if loaded.before is None:
        return {}
    return dict(RecordLog(study_path(request, loaded.data) / "trials.jsonl", read_only=True).records.latencies)


def _meter(loaded: Loaded, latencies: dict[str, float]) -> Meter:
    """What measures the latencies that are not among these, and adds them."""
    how, task = Measures(True, loaded.latency_with, loaded.objective.metric.quantised), loaded.data.task
    return Meter(task, loaded.device, loaded.offers, loaded.threads, latencies, latencies.__setitem__, how)


def _dropped_warm_starts(space: Space, task: Task, offers: Shapes) -> list[str]:
    """One line for each warm start whose student is of no use or exceeds a limit that follows from the architecture."""
    limits = space.constraints
    reasons = [why_outside(drawn.plain, task, offers, limits) for drawn in space.warm_starts]
    return [f"warm_starts.{index}: its student {reason}" for index, reason in enumerate(reasons) if reason]


def context_of(setup: Setup, request: Request) -> TrainContext:
    """Return what all rungs of a study share; the teacher bank lies in the user's cache."""
    return TrainContext(
        data=setup.data,
        teacher=setup.teacher,
        device=setup.device,
        bank=TeacherBank(cache_dir("bank"), int(request.bank_bytes), features=request.bank_features),
        parts=setup.space.teacher_parts(),
        profile=Profile(setup.device) if request.profile else OFF,
        metric=setup.objective.metric.name,
        views=setup.budget.views,
        artefacts=Artefacts(cache_dir("artefacts")),
    )


def study_path(request: Request, data: Dataset) -> Path:
    """Return the folder of the study that a request means.

    Raises:
      StudyError: its name is not that of a folder.
    """
    name = data.task.dataset if request.study is None else request.study
    check_name(name)
    return Path(request.studies_dir) / name


def _check_new(request: Request, loaded: Loaded, latencies: dict[str, float]) -> None:
    """Refuse a folder that holds something else than a study, too large samples, and a budget that no student meets."""
    refuse_foreign(study_path(request, loaded.data))
    refuse_too_large(_probe(request, loaded), timed=request.time is not None)
    space, meter, task = _resolve(request, loaded), _meter(loaded, latencies), loaded.data.task
    refuse_impossible(space, task, request.seed, meter)
    meter.refuse_without_int8(largest_of_families(space, task, loaded.offers))
