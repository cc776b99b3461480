"""Everything before the first trial: data, teacher, space, budget; and refusing what cannot go on."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from autokd.data import DataOptions, Dataset, load
from autokd.engine.context import TrainContext
from autokd.engine.profile import OFF, Profile
from autokd.engine.teacher_bank import TeacherBank
from autokd.errors import StudyError, TeacherError
from autokd.files import as_plain, cache_dir
from autokd.networks.reference import describe, load_teacher
from autokd.objective import ACCURACY, COSTS, Objective, of_names, of_plain
from autokd.search.request import Notify, Progress, Request, pick_device
from autokd.search.screen.screen import LatencyMeter, population
from autokd.search.timing.fit import TimePlan, make_time_plan, rung_plan
from autokd.space import Budget, Space, find, parse
from autokd.study.store import differences, read_settings, refuse_foreign
from autokd.teaching import default_teacher
from autokd.types import Shapes, Teacher


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
      threads: that a rung computes on.
      time_plan: how the study fits into its time, or None.
      objective: what the study is to be good at.
      latencies: milliseconds that were already measured, by `autokd.search.screen.screen.network_key`.
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
    threads: int
    time_plan: TimePlan | None
    objective: Objective = ACCURACY
    latencies: Mapping[str, float] = MappingProxyType({})

    @property
    def measures_latency(self) -> bool:
        """Whether latency is bounded or an objective, so that it is measured before a student is trained."""
        return measures_latency(self.objective, self.space)


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
    data = _load(request)
    text, source = find(request.space or data.default_space)
    unresolved = parse(text, source)
    existing = _existing(request, data)
    slots, threads = _slots(request, existing)
    if request.workers is not None and isinstance(request.teacher, torch.nn.Module):
        raise TeacherError(
            "a teacher that was handed over as a network lives in this process alone; leave workers out, or save it to "
            "a file and give its reference"
        )
    teacher: Teacher | None = None if request.teacher is None else load_teacher(request.teacher, data.task).to(device)
    limits = {f"max_{name}": getattr(request, f"max_{name}") for name in COSTS}
    objective = of_names(request.objective) if request.objective else of_plain(unresolved.objective)

    def resolved() -> tuple[Space, Shapes]:
        offers = default_teacher.offers(data.task) if teacher is None else teacher.offers
        return unresolved.resolve(data.task, offers, **limits), offers

    space, offers = resolved()
    wanted = _as_before(unresolved.budget, existing)
    fitted = _time_plan(request, existing, data, space, wanted, teacher, device, slots, threads)
    if fitted is not None and fitted.limit_train is not None:
        data = _load(request, limit_train=fitted.limit_train)
        space, offers = resolved()
    budget = _budget(wanted, request, fitted)
    reference = default_teacher.reference(budget.teacher_epochs) if teacher is None else describe(request.teacher)
    latencies: dict[str, float] = {}
    meter = LatencyMeter(data.task, device, offers, threads, latencies, latencies.__setitem__)
    identity = {
        "space": space.identity(),
        "data": {"reference": data.reference, "fingerprint": data.task.fingerprint},
        "teacher": {"reference": dict(reference), "fingerprint": None if teacher is None else teacher.fingerprint},
        "objective": objective.as_plain(),
        "rungs": rung_plan(budget),
        "budget": {k: v for k, v in dataclasses.asdict(budget).items() if k != "trials" and (v or k != "branch")},
        "seed": request.seed,
        "slots": slots,
        "bank_features": int(request.bank_bytes) if request.bank_features else None,  # decides how maps are rounded
    }
    identity |= _more_identity(objective, space, device)
    if for_study:
        _check(request, data, space, identity, meter)
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
        settings={
            **_settings(request, budget, space, device, source, fitted),
            "threads": {"value": threads, "from": "the machine"},
        },
        threads=threads,
        time_plan=fitted,
        objective=objective,
        latencies=latencies,
    )


def _load(request: Request, **changed: Any) -> Dataset:
    """Load the dataset that was asked for, with some options changed."""
    return load(request.dataset, DataOptions(seed=request.seed, **{**request.data_options, **changed}))


def measures_latency(objective: Objective, space: Space) -> bool:
    """Whether latency is bounded or an objective."""
    return "latency" in objective.names or "latency" in space.constraints


def _more_identity(objective: Objective, space: Space, device: torch.device) -> dict[str, Any]:
    """What belongs to a study's identity only where it matters: the order of objectives, and where latency is taken."""
    order = {"objective_order": list(objective.names)} if objective.several else {}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {**order, **({"latency_device": name} if measures_latency(objective, space) else {})}


def _existing(request: Request, data: Dataset) -> Mapping[str, Any] | None:
    """The settings of the study that a request goes on with, or None."""
    path = study_path(request, data)
    return None if request.fresh or not (path / "study.yaml").exists() else read_settings(path)


def _as_before(budget: Budget, old: Mapping[str, Any] | None) -> Budget:
    """The budget as an existing study has it where it was begun before rungs had side branches: without them."""
    before = old is not None and "branch" not in old["identity"]["budget"]
    return dataclasses.replace(budget, branch=0.0) if before else budget


def _slots(request: Request, old: Mapping[str, Any] | None) -> tuple[int, int]:
    """The rungs under way at a time, and the threads of each: an existing study keeps its own."""
    if old is not None:
        threads = old["settings"].get("threads", {"value": torch.get_num_threads()})["value"]
        return request.slots or old["identity"]["slots"], int(threads)
    return request.slots or request.workers or 1, max(1, torch.get_num_threads() // (request.workers or 1))


def _time_plan(
    request: Request,
    old: Mapping[str, Any] | None,
    data: Dataset,
    space: Space,
    own: Budget,
    teacher: Teacher | None,
    device: torch.device,
    slots: int,
    threads: int,
) -> TimePlan | None:
    """How the study fits into its time, an existing one as before; None without a limit, or where epochs are given."""
    if old is not None:
        return None if old.get("time_plan") is None else TimePlan(**old["time_plan"])
    if request.time is None or request.epochs is not None:
        return None
    return make_time_plan(
        request.time,
        request.time - (time.monotonic() - request.began),
        data=data,
        space=space,
        own=own if request.trials is None else dataclasses.replace(own, trials=request.trials),
        teacher=teacher,
        device=device,
        threads=threads,
        slots=slots,
        workers=request.workers or 1,
        seed=request.seed,
        may_limit=request.data_options.get("limit_train") is None and not isinstance(request.dataset, Dataset),
    )


def context_of(prepared: Prepared, request: Request) -> TrainContext:
    """Return what all rungs of a study share; the teacher bank lies in the user's cache."""
    return TrainContext(
        data=prepared.data,
        teacher=prepared.teacher,
        device=prepared.device,
        bank=TeacherBank(cache_dir("bank"), int(request.bank_bytes), features=request.bank_features),
        parts=prepared.space.teacher_parts(),
        profile=Profile(prepared.device) if request.profile else OFF,
        metric=prepared.objective.metric.name,
    )


def study_path(request: Request, data: Dataset) -> Path:
    """Return the folder of the study that a request means.

    Raises:
      StudyError: its name is not that of a folder.
    """
    name = data.task.dataset if request.study is None else request.study
    if name in ("", ".", "..") or any(mark in name for mark in "/\\"):
        raise StudyError(f"--study {name!r}: the name of a study is the name of a folder, not a path")
    return request.studies_dir / name


def _check(request: Request, data: Dataset, space: Space, identity: Mapping[str, Any], meter: LatencyMeter) -> None:
    """Refuse a folder that is no study, an existing study that differs, and a budget that no student meets."""
    path = study_path(request, data)
    if (path / "study.yaml").exists() and not request.fresh:
        refuse_another(path, read_settings(path)["identity"], identity)
        return
    refuse_foreign(path)
    population(space, data.task, request.seed, meter=meter)


def refuse_another(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    different = differences(*_comparable(old, as_plain(new)))
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


def _trained_teacher(data: Dataset, budget: Budget, device: torch.device, notify: Notify) -> Teacher:
    def tell(done: int, total: int) -> None:
        notify(Progress(stage="teacher", done=done, total=total, note="training a teacher"))

    return default_teacher.obtain(data, budget.teacher_epochs, device, tell)


def _budget(space_budget: Budget, request: Request, fitted: TimePlan | None) -> Budget:
    changed: dict[str, Any] = {} if fitted is None else dict(fitted.budget)
    if request.trials is not None:
        changed["trials"] = request.trials
    if request.epochs is not None:
        changed.update(epochs=request.epochs, confirm_epochs=request.epochs)
    return dataclasses.replace(space_budget, **changed)


def _settings(
    request: Request, budget: Budget, space: Space, device: torch.device, source: str, fitted: TimePlan | None
) -> dict[str, Any]:
    """Each value with its origin: asked, the environment's variable, the time, the space file, or the default."""

    def from_file(given: Any, value: Any, planned: bool = False) -> dict[str, Any]:
        return {"value": value, "from": "asked" if given is not None else "the time" if planned else "space file"}

    def or_default(given: Any, value: Any) -> dict[str, Any]:
        return {"value": value, "from": "default" if given is None else "asked"}

    def from_environment(given: Any, variable: str, default: Any) -> dict[str, Any]:
        if given is None and os.environ.get(variable):
            return {"value": os.environ[variable], "from": variable}
        return or_default(given, default if given is None else given)

    data_dir = request.data_options.get("data_dir")
    return {
        "trials": from_file(request.trials, budget.trials, request.time is not None),
        "epochs": from_file(request.epochs, budget.epochs, fitted is not None),
        "max_params": from_file(request.max_params, space.constraints.get("params")),
        "max_macs": from_file(request.max_macs, space.constraints.get("macs")),
        "max_size": from_file(request.max_size, space.constraints.get("size")),
        "max_latency": from_file(request.max_latency, space.constraints.get("latency")),
        "time": or_default(request.time, request.time),
        "space": or_default(request.space, source),
        "device": or_default(None if request.device == "auto" else request.device, str(device)),
        "seed": or_default(request.seed or None, request.seed),
        "data_dir": from_environment(data_dir, "AUTOKD_DATA", None),
        "cache": from_environment(None, "AUTOKD_CACHE", cache_dir()),
    }
