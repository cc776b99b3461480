"""From a study to the pipeline file of its recommendation, of another arm of its claim, or of one of its trials."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from autokd import catalog
from autokd.data import relative
from autokd.delivery import teacher_file
from autokd.delivery.pipeline_file import FORMAT
from autokd.errors import ComponentError, NothingFeasible, StudyError
from autokd.seeds import derive
from autokd.spec import fingerprint
from autokd.study.checks import check
from autokd.study.claim import Arm, Claim
from autokd.study.records import TrialRecord
from autokd.teaching.taught import is_taught, lengthened

if TYPE_CHECKING:
    from autokd.study.settings import Reference, TimePlan
    from autokd.study.store import StudyStore


class _Chosen(NamedTuple):
    """A pipeline of a study that is to be exported.

    Args:
      trial: number of the trial that it comes from.
      pipeline: plain.
      arm: the arm of the claim that it is, or None.
      note: what to say where it is no arm of the claim.
    """

    trial: int
    pipeline: Mapping[str, Any]
    arm: Arm | None = None
    note: str | None = None


def export_pipeline(store: StudyStore, trial: int | None = None, arm: str | None = None) -> dict[str, Any]:
    """Return the content of the pipeline file for a study's pipeline.

    Args:
      store: the study.
      trial: number of a trial, as it was drawn.
      arm: name of an arm of the newest claim, as it was claimed. With neither: the pipeline that the study recommends,
        with its evidence, or, where confirm has not made its claim yet, that of the best trial.

    Raises:
      StudyError: the study has no such trial or arm, or both are given.
      NothingFeasible: no trial has finished.
    """
    chosen, claim = _chosen(store, trial, arm), store.records.claim
    settings, identity = store.settings, store.settings.identity
    data, teacher = _in_full(identity.data, identity.teacher, settings.time_plan, chosen.pipeline)
    return {
        "format": FORMAT,
        "pipeline": dict(chosen.pipeline),
        "data": relative(data.reference),
        "data_fingerprint": data.fingerprint,
        "teacher": teacher_file.relative(teacher.reference),
        "teacher_fingerprint": teacher.fingerprint,
        "objective": store.objective.metric.name,
        "train": {
            "epochs": identity.budget_of(len(store.records.trials)).train_epochs,
            "seed": derive(identity.seed, "train", chosen.trial) % 2**31,
        },
        "provenance": {
            "study": store.name,
            "trial": chosen.trial,
            "arm": None if chosen.arm is None else chosen.arm.name,
            "note": chosen.note,
            "seed": identity.seed,
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "versions": dict(settings.versions),
            "cost": None if chosen.arm is None else dict(chosen.arm.cost),
            "checks": _said_against(store, chosen),
            "evidence": None if claim is None or chosen.arm is None else _summary(claim, chosen.arm),
        },
    }


def _in_full(
    data: Reference, teacher: Reference, plan: TimePlan | None, pipeline: Mapping[str, Any]
) -> tuple[Reference, Reference]:
    """Data and teacher as full training has them, where a study made do with less of both to fit into its time.

    A student that is made of the teacher's network keeps a teacher of that network.
    """
    if plan is None:
        return data, teacher
    limited = plan.limit_train is not None
    if limited:
        whole = {key: value for key, value in (data.reference or {}).items() if key != "limit_train"}
        data = data._replace(reference=whole, fingerprint=plan.whole_data)
    own = teacher.reference
    if own is not None and is_taught(own):
        full = {**lengthened(own, plan.teacher_epochs), **_network_kept(own, pipeline)}
        teacher = teacher._replace(reference=full, fingerprint=None) if limited or own != full else teacher
    return data, teacher


def _network_kept(teacher: Mapping[str, Any], pipeline: Mapping[str, Any]) -> dict[str, Any]:
    """The size of the teacher's network, where the student of a plain pipeline is made of it; {} where it is not."""
    with contextlib.suppress(ComponentError):  # of a plug-in's that is not here
        if catalog.load("students", pipeline["student"]["use"]).declares.copies and "network" in teacher:
            return {"network": teacher["network"]}
    return {}


def _chosen(store: StudyStore, trial: int | None, arm: str | None) -> _Chosen:
    claim = store.records.claim
    if arm is not None:
        if trial is not None:
            raise StudyError(f"--trial {trial} and --arm {arm} are two pipelines; give one of the two")
        return _of_arm(store, arm)
    if trial is None and claim is not None:
        return _Chosen(claim.trial, claim.used.pipeline, claim.used)
    found = store.best if trial is None else _trial(store, trial)
    if found is None:
        raise NothingFeasible(f"study {store.name}: no trial has finished, so there is nothing to export")
    if claim is not None and fingerprint(claim.used.pipeline) == fingerprint(found.pipeline):
        return _Chosen(found.number, found.pipeline, claim.used)
    return _Chosen(found.number, found.pipeline, note=_note(found, asked=trial is not None))


def _of_arm(store: StudyStore, name: str) -> _Chosen:
    claim = store.records.claim
    if claim is None:
        raise StudyError(f"study {store.name} has no claim yet, so it has no arm {name!r}; --trial exports a trial")
    arm = claim.arm(name)
    if arm is None:
        raise StudyError(f"study {store.name} has no arm {name!r}; it has {', '.join(a.name for a in claim.ordered)}")
    return _Chosen(claim.trial, arm.pipeline, arm)


def _trial(store: StudyStore, number: int) -> TrialRecord:
    if number not in store.records.trials:
        known = sorted(store.records.trials)
        have = f"it has {known[0]} to {known[-1]}" if known else "it has none yet"
        raise StudyError(f"study {store.name} has no trial {number}; {have}")
    return store.records.trials[number]


def _said_against(store: StudyStore, chosen: _Chosen) -> list[str] | None:
    """What the checks of the study say against what it recommends, a line each; None for any other pipeline."""
    claim = store.records.claim
    if claim is None or chosen.arm is None or chosen.arm.name != claim.use:
        return None
    return [f"{each.mark} {each.says} {each.todo}".rstrip() for each in check(store) if each.todo]


def _note(trial: TrialRecord, *, asked: bool) -> str:
    """What to say of a trial that no evidence is about."""
    if trial.failure is not None:
        return f"no evidence: the trial failed ({trial.failure['reason']})"
    what = "the trial as it was drawn" if asked else "the best trial so far"
    return f"no evidence: {what}, not compared with baselines on fresh seeds"


def _summary(claim: Claim, arm: Arm) -> dict[str, Any]:
    """What a claim found, short enough for people: the metric's test values by arm and seed, and the verdicts."""
    values: dict[str, Any] = {each.name: each.test for each in claim.arms if each.test}
    if claim.teacher is not None:
        values["teacher"] = claim.teacher.test
    used, other = arm.name == claim.use, claim.comparisons.get(arm.name)
    texts = [compared.text for compared in claim.comparisons.values()] if used else []
    if other is not None:
        texts = [f"{claim.phrase_of(claim.used)} is {other.text}"]
    interval = claim.prediction_interval if used else None
    return {
        "text": "; ".join(texts) or "not compared with other pipelines on test",
        "basis": claim.evidence,
        "epochs": claim.epochs,
        "seeds": arm.seeds,
        f"test_{claim.metric}": values,
        **({} if interval is None else {"prediction_interval": list(interval)}),
        "n_test": claim.n_test,
    }
