"""From a study on disk to its card."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeGuard

from autokd import catalog
from autokd.errors import StudyError, one_line
from autokd.knowledge.card import CardRun, StudyCard, StudyFacts
from autokd.knowledge.shared_form import shared_component, shared_failure, shared_form, shared_source
from autokd.metrics import METRICS
from autokd.objective import COSTS
from autokd.spec import fingerprint, network_slot, slots
from autokd.study.curves import scored_on_the_way
from autokd.study.failures import kind_of
from autokd.study.past import PastStudent
from autokd.study.proxies import trained_students
from autokd.study.records import RunRecord, TrialRecord
from autokd.study.settings import StudySettings, TeacherFacts
from autokd.study.store import StudyStore

LEAST = 2
"""Pipelines that must have been trained to the end for a study to teach anything."""
VERSIONS = ("autokd", "torch")
_OF_TEACHERS = (*METRICS, *COSTS)
"""Names of what is told of a teacher."""
_RELEASE = re.compile(r"\d+(\.\d+)*")


class Learned(NamedTuple):
    """What a study taught.

    Args:
      card: the study's.
      left_out: runs that are not on it, since their pipelines hold what is not autokd's own.
    """

    card: StudyCard
    left_out: int


def learn(store: StudyStore) -> Learned:
    """Return the card of a study. What was computed on test is not looked at.

    Raises:
      StudyError: fewer than two pipelines of it were trained to the end, its kind of input is a plug-in's, it does not
        say how many samples its classes have, or its records are damaged.
    """
    try:
        return _learned(store)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise StudyError(f"study {store.name} is damaged ({type(error).__name__}: {one_line(error)})") from error


def _learned(store: StudyStore) -> Learned:
    settings = store.settings
    if settings.data.modality not in catalog.shipped("modalities"):
        raise StudyError(f"study {store.name}: its kind of input is not autokd's own")
    if not settings.data.counts("train"):
        raise StudyError(f"study {store.name}: an earlier version made it, and did not count the samples of each class")
    found = _runs(store)
    runs = [run for run in found if run is not None]
    card = StudyCard(facts=facts_of(settings), runs=tuple(runs), students=tuple(_students(store)))
    if len(card.worth) < LEAST:
        raise StudyError(
            f"study {store.name} has {len(card.worth)} pipeline(s) of autokd's own parts that were trained to the end; "
            f"at least {LEAST} are needed to compare anything"
        )
    return Learned(card, len(found) - len(runs))


def _runs(store: StudyStore) -> list[CardRun | None]:
    """What was trained in a study; None for a run whose pipeline holds what is not autokd's own."""
    records = store.records
    ended = [trial for trial in records.trials.values() if trial.rungs or trial.failure]
    costs = {_network(trial.pipeline): trial.cost for trial in ended}
    return [*map(_of_trial, ended), *(_of_run(run, store.settings, costs) for run in records.runs)]


def _students(store: StudyStore) -> Iterator[PastStudent]:
    """The students that were scored and then trained, as far as they and their scores are autokd's own."""
    ours = catalog.shipped("proxies")
    for each in trained_students(store.records):
        student = shared_component("students", each.student)
        if student is not None:
            yield PastStudent(
                student=student,
                params=int(each.params),
                macs=int(each.macs),
                proxies={name: float(value) for name, value in each.proxies.items() if name in ours},
                not_finite=tuple(name for name in each.not_finite if name in ours),
                scores=tuple(map(float, each.scores)),
            )


def facts_of(settings: StudySettings) -> StudyFacts:
    """Return what a study was about, as a card has it."""
    data, identity, plan = settings.data, settings.identity, settings.time_plan
    whole = None if plan is None else plan.whole_data
    return StudyFacts(
        study=known_again(_told_apart(settings)),
        data=known_again(whole or identity.data.fingerprint),
        modality=data.modality,
        objective=identity.goal.metric.name,
        train=data.train,
        validation=data.validation,
        class_counts=tuple(sorted((int(count) for count in data.counts("train")), reverse=True)),
        input_shape=tuple(int(size) for size in data.task.input_shape),
        **_about_teacher(settings.teacher, identity.teacher.loader),
        limits=_numbers(identity.limits, COSTS),
        epochs=max(identity.rungs),
        seed=identity.seed,
        space=fingerprint(dict(identity.space)),
        device="cuda" if settings.on_gpu else "cpu",
        versions={name: _release(settings.versions[name]) for name in VERSIONS if name in settings.versions},
    )


def _told_apart(settings: StudySettings) -> str:
    """A fingerprint of what makes a study this study, without the places where data and teacher lie."""
    identity, teacher = settings.identity, settings.teacher
    contents = {"data": identity.data.fingerprint, "teacher": None if teacher is None else teacher.fingerprint}
    return fingerprint({**identity.to_plain(), **contents})


def _about_teacher(teacher: TeacherFacts | None, loader: str) -> dict[str, Any]:
    if teacher is None:
        return {}
    return {
        "teacher": _numbers({**teacher.validation, "params": teacher.params, **teacher.cost}, _OF_TEACHERS),
        "teacher_kind": loader if loader in ("trained", *catalog.shipped("teachers")) else "",
        "teacher_weights": known_again(teacher.fingerprint),
    }


def known_again(content: str | None) -> str:
    """Return 16 hex digits by which data or a teacher are known again, and that stand in no other file of autokd's.

    Args:
      content: its fingerprint.
    """
    return hashlib.sha256(f"autokd {content}".encode()).hexdigest()[:16]


def _numbers(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, float]:
    """Those values that have a name of autokd's and are finite numbers."""
    return {name: float(values[name]) for name in names if _is_finite(values.get(name))}


def _is_finite(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and math.isfinite(value)


def _release(versions: str) -> str:
    """The numbers of the newest of some versions: "2.13.0" of "2.12.0, then 2.13.0+cpu"."""
    found = _RELEASE.match(versions.rpartition(" ")[2])
    return "" if found is None else found[0]


def _network(pipeline: Mapping[str, Any]) -> str:
    """What of a pipeline decides what its student costs."""
    network = network_slot(slots())
    return fingerprint([pipeline[network], pipeline.get("head")])


def _of_trial(trial: TrialRecord) -> CardRun | None:
    pipeline = shared_form(trial.pipeline)
    if pipeline is None:
        return None
    last = trial.rungs[-1] if trial.rungs else None
    return CardRun(
        source=shared_source(trial.source),
        pipeline=pipeline,
        seed=int(trial.seed),
        epochs=0 if last is None else int(last.epochs),
        score=None if last is None or trial.failure else float(last.score),
        curve=tuple(float(score) for _, score in scored_on_the_way(trial) if _is_finite(score)),
        seconds=round(float(trial.seconds), 3),
        params=int(trial.cost["params"]),
        macs=int(trial.cost["macs"]),
        failure=shared_failure(kind_of(trial.failure)),
    )


def _of_run(run: RunRecord, settings: StudySettings, costs: Mapping[str, Mapping[str, float]]) -> CardRun | None:
    pipeline, cost = shared_form(run.pipeline), costs.get(_network(run.pipeline), {})
    if pipeline is None:
        return None
    return CardRun(
        source=shared_source(run.stage),
        pipeline=pipeline,
        seed=int(run.seed),
        epochs=max(settings.identity.rungs),
        score=None if run.failure else float(run.score),
        seconds=round(float(run.seconds), 3),
        params=int(cost.get("params", 0)),
        macs=int(cost.get("macs", 0)),
        failure=shared_failure(kind_of(run.failure)),
    )
