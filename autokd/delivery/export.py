"""From a study to the pipeline file of its recommendation, or of one of its trials."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from autokd.delivery.pipeline_file import FORMAT
from autokd.errors import NothingFeasible, StudyError
from autokd.seeds import derive
from autokd.space import Budget
from autokd.spec import fingerprint
from autokd.study.records import TrialRecord
from autokd.study.store import StudyStore


def export_pipeline(store: StudyStore, trial: int | None = None) -> dict[str, Any]:
    """Return the content of the pipeline file for a study's trial.

    Args:
      store: the study.
      trial: number of the trial, as it was drawn; None: the pipeline that the study recommends, with its evidence, or,
        where confirm has not made its claim yet, that of the best trial.
    Raises:
      StudyError: the study has no such trial.
      NothingFeasible: no trial has finished.
    """
    evidence = store.records.evidence[-1] if store.records.evidence else None
    number, pipeline, note = _chosen(store, trial, evidence)
    proven = evidence is not None and fingerprint(evidence["pipeline"]) == fingerprint(pipeline)
    identity = store.settings["identity"]
    teacher = identity["teacher"] or {"reference": None, "fingerprint": None}
    data, teacher = _in_full(identity["data"], teacher, store.settings.get("time_plan"))
    return {
        "format": FORMAT,
        "pipeline": dict(pipeline),
        "data": data["reference"],
        "data_fingerprint": data["fingerprint"],
        "teacher": teacher["reference"],
        "teacher_fingerprint": teacher["fingerprint"],
        "objective": store.objective.metric.name,
        "train": {
            "epochs": identity["budget"].get("train_epochs", Budget.train_epochs),
            "seed": derive(identity["seed"], "train", number) % 2**31,
        },
        "provenance": {
            "study": store.name,
            "trial": number,
            "note": None if proven else note,
            "seed": identity["seed"],
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "versions": dict(store.settings["versions"]),
            "evidence": _summary(evidence) if evidence is not None and proven else None,
        },
    }


def _in_full(
    data: Mapping[str, Any], teacher: Mapping[str, Any], time_plan: Mapping[str, Any] | None
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Data and teacher as full training has them, where a study made do with less of both to fit into its time."""
    if time_plan is None:
        return data, teacher
    if time_plan["limit_train"] is not None:
        reference = {key: value for key, value in data["reference"].items() if key != "limit_train"}
        data = {"reference": reference, "fingerprint": time_plan["whole_data"]}
    reference = teacher["reference"] or {}
    if reference.get("use") == "trained" and (
        time_plan["limit_train"] is not None or reference["epochs"] != time_plan["teacher_epochs"]
    ):
        teacher = {"reference": {**reference, "epochs": time_plan["teacher_epochs"]}, "fingerprint": None}
    return data, teacher


def _chosen(
    store: StudyStore, number: int | None, evidence: Mapping[str, Any] | None
) -> tuple[int, Mapping[str, Any], str]:
    """Trial number, pipeline, and what to say where the pipeline is not the one that the evidence is about."""
    if number is None and evidence is not None:
        return evidence["trial"], evidence["pipeline"], ""
    trial = store.best if number is None else _trial(store, number)
    if trial is None:
        raise NothingFeasible(f"study {store.name}: no trial has finished, so there is nothing to export")
    if trial.failure is not None:
        return trial.number, trial.pipeline, f"no evidence: the trial failed ({trial.failure['reason']})"
    note = "the trial as it was drawn" if number is not None else "the best trial so far"
    return trial.number, trial.pipeline, f"no evidence: {note}, not compared with baselines on fresh seeds"


def _trial(store: StudyStore, number: int) -> TrialRecord:
    if number not in store.records.trials:
        known = sorted(store.records.trials)
        have = f"it has {known[0]} to {known[-1]}" if known else "it has none yet"
        raise StudyError(f"study {store.name} has no trial {number}; {have}")
    return store.records.trials[number]


def _summary(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """What a claim found, short enough for people: the metric's test values by arm and seed, and the verdicts."""
    values = {arm: list(scores["test"]) for arm, scores in evidence["arms"].items()}
    if evidence["teacher"] is not None:
        values["teacher"] = evidence["teacher"]["test"]
    return {
        "text": "; ".join(comparison["text"] for comparison in evidence["comparisons"].values()),
        "epochs": evidence["epochs"],
        "seeds": list(evidence["seeds"]),
        f"test_{evidence.get('metric', 'accuracy')}": values,
        "prediction_interval": list(evidence["prediction_interval"]),
        "n_test": evidence["n_test"],
    }
