"""From a study on disk to its card."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from autokd import catalog
from autokd.errors import StudyError
from autokd.knowledge.card import CardRun, StudyCard, StudyFacts
from autokd.knowledge.shared_form import shared_form
from autokd.spec import fingerprint
from autokd.study.records import RunRecord, TrialRecord
from autokd.study.settings import StudySettings
from autokd.study.store import StudyStore

LEAST = 2
"""Pipelines that must have been trained to the end for a study to teach anything."""
VERSIONS = ("autokd", "torch")


class Learned(NamedTuple):
    """What a study taught.

    Args:
      card: the study's.
      left_out: runs that are not on it, since their pipelines hold names of the user's.
    """

    card: StudyCard
    left_out: int


def learn(store: StudyStore) -> Learned:
    """Return the card of a study. What was computed on test is not looked at.

    Raises:
      StudyError: fewer than two pipelines of it were trained to the end, or its kind of input is a plug-in's.
    """
    settings, records = store.settings, store.records
    if settings.data.modality not in catalog.shipped("modalities"):
        raise StudyError(f"study {store.name}: the kind of input {settings.data.modality!r} is not autokd's own")
    costs = {fingerprint(trial.pipeline): trial.cost for trial in records.trials.values()}
    found = [*map(_of_trial, records.trials.values()), *(_of_run(run, settings, costs) for run in records.runs)]
    runs = [run for run in found if run is not None]
    card = StudyCard(facts=facts_of(settings), runs=tuple(runs))
    if len(card.worth) < LEAST:
        raise StudyError(
            f"study {store.name} has {len(card.worth)} pipeline(s) that were trained to the end and can be shared; "
            f"at least {LEAST} are needed to compare anything"
        )
    tried = sum(bool(trial.rungs or trial.failure) for trial in records.trials.values()) + len(records.runs)
    return Learned(card, tried - len(runs))


def facts_of(settings: StudySettings) -> StudyFacts:
    """Return what a study was about, as a card has it."""
    data, teacher, identity = settings.data, settings.teacher, settings.identity
    reference = identity.teacher.reference or {}
    own = str(reference.get("use", ""))
    return StudyFacts(
        data=hashlib.sha256(f"autokd {identity.data.fingerprint}".encode()).hexdigest()[:16],
        modality=data.modality,
        objective=identity.goal.metric.name,
        train=data.train,
        validation=data.validation,
        class_counts=tuple(sorted((int(count) for count in data.counts("train")), reverse=True)),
        input_shape=tuple(data.task.input_shape),
        teacher={} if teacher is None else _numbers({**teacher.validation, "params": teacher.params, **teacher.cost}),
        teacher_kind=own if own in ("trained", *catalog.shipped("teachers")) else "",
        limits=_numbers(identity.limits),
        epochs=max(identity.rungs),
        seed=identity.seed,
        space=fingerprint(dict(identity.space)),
        device="cuda" if str(settings.machine.get("device", "")).startswith("cuda") else "cpu",
        versions={name: _release(settings.versions[name]) for name in VERSIONS if name in settings.versions},
    )


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}


def _release(version: str) -> str:
    """The numbers of a version: "2.13.0" of "2.13.0+cpu"."""
    return ".".join(part for part in version.split("+")[0].split(".") if part.isdigit())


def _of_trial(trial: TrialRecord) -> CardRun | None:
    if not (trial.rungs or trial.failure):
        return None
    pipeline = shared_form(trial.pipeline)
    if pipeline is None:
        return None
    last = trial.rungs[-1] if trial.rungs else None
    return CardRun(
        source=trial.source,
        pipeline=pipeline,
        seed=trial.seed,
        epochs=0 if last is None else last.epochs,
        score=None if last is None or trial.failure else last.score,
        curve=tuple(_scores(trial)),
        seconds=round(trial.seconds, 3),
        params=int(trial.cost["params"]),
        macs=int(trial.cost["macs"]),
        failure="" if trial.failure is None else str(trial.failure["kind"]),
    )


def _scores(trial: TrialRecord) -> Iterator[float]:
    for rung in trial.rungs:
        for line in rung.curve:
            if isinstance(line.get("score"), float):
                yield line["score"]


def _of_run(run: RunRecord, settings: StudySettings, costs: Mapping[str, Mapping[str, float]]) -> CardRun | None:
    pipeline, cost = shared_form(run.pipeline), costs.get(fingerprint(run.pipeline))
    if pipeline is None:
        return None
    return CardRun(
        source=run.stage,
        pipeline=pipeline,
        seed=run.seed,
        epochs=max(settings.identity.rungs),
        score=None if run.failure else run.score,
        seconds=round(run.seconds, 3),
        params=0 if cost is None else int(cost["params"]),
        macs=0 if cost is None else int(cost["macs"]),
        failure="" if run.failure is None else str(run.failure["kind"]),
    )
