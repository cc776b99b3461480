"""Tests of `autokd.delivery.pipeline_file`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from autokd.delivery import pipeline_file
from autokd.delivery.export import export_pipeline
from autokd.errors import BundleError, NothingFeasible, StudyError
from autokd.objective import ACCURACY, Objective
from autokd.seeds import derive
from autokd.spec import PipelineSpec, make, to_plain
from autokd.study.claim import Arm, Claim, Comparison, SplitValues, arm_runs
from autokd.study.records import Records, RungRecord, TrialRecord
from autokd.study.settings import DataFacts, Identity, Reference, StudySettings, TimePlan
from autokd.study.store import StudyStore
from autokd.types import Task


def _pipeline(rate: float = 1e-5) -> dict[str, Any]:
    spec = PipelineSpec(
        student=make("students", "cnn", {"layers": 2, "width": 4}),
        augment=make("augments", "none", {}),
        losses={"ce": make("losses", "ce", {}), "kd": make("losses", "kd", {"temperature": 3.3})},
        optimizer=make("optimizers", "adamw", {"learning_rate": rate}),
        schedule=make("schedules", "cosine", {}),
        batch_size=32,
    )
    return to_plain(spec)


def _study(records: Records, objective: Objective = ACCURACY) -> Any:
    task = Task(dataset="digits", modality="image", input_shape=(1, 8, 8), classes=("0", "1"), train_size=500)
    settings = StudySettings(
        name="mine",
        created="2025-11-03T10:15:00+00:00",
        identity=Identity(
            space={"constraints": {}},
            data=Reference({"component": {"use": "digits"}, "seed": 0}, "d1"),
            teacher=Reference({"use": "trained", "epochs": 4}, "t1"),
            objective=objective.as_plain(),
            rungs=[3],
            budget={"train_epochs": 50},
            seed=7,
            slots=1,
        ),
        settings={},
        versions={"autokd": "0.1.0", "torch": "2.6", "optuna": "5.0"},
        machine={},
        data=DataFacts(train=500, validation=100, test=360, card={}, task=task),
        teacher=None,
    )
    log = SimpleNamespace(records=records)
    return StudyStore(Path("studies/mine"), settings, log)  # type: ignore[arg-type]


def _change(study: StudyStore, **values: Any) -> None:
    study.settings = dataclasses.replace(study.settings, **values)


def _trial(number: int, score: float | None, **values: Any) -> TrialRecord:
    rungs = () if score is None else (RungRecord(rung=0, epochs=3, score=score, loss=1.0, seconds=1.0),)
    return TrialRecord(
        number=number,
        source="tpe",
        seed=1,
        pipeline=_pipeline(0.01 * (number + 1)),
        params={},
        cost={"params": 438},
        rungs=rungs,
        **values,
    )


def _records(*, evidence: bool = False) -> Records:
    failed = _trial(2, None, failure={"kind": "not_finite", "reason": "the loss became nan"})
    records = Records(trials={0: _trial(0, 0.7), 1: _trial(1, 0.9), 2: failed})
    if evidence:
        records.claims.append(CLAIM)
    return records


def _arm(name: str, rate: float, test: list[float]) -> Arm:
    runs = {"claim": arm_runs([11, 12], [0.9, 0.9], test)}
    return Arm(name=name, kind=name, pipeline=_pipeline(rate), cost={"params": 438}, runs=runs)


CLAIM = Claim(
    round=0,
    trials=3,
    trial=1,
    use="pick",
    comparators=("alone",),
    evidence="fresh seeds",
    arms=(_arm("pick", 0.04, [0.95, 0.96]), _arm("alone", 0.05, [0.9, 0.91])),
    metric="accuracy",
    epochs=27,
    teacher=SplitValues(0.98, 0.99),
    comparisons={
        "alone": Comparison(
            difference=0.05,
            low=0.03,
            high=0.07,
            standard_error=0.01,
            df=2.0,
            detectable=0.02,
            verdict="better",
            seeds_needed=None,
            text="better by 5.0 points",
        )
    },
    prediction_interval=(0.93, 0.98),
    gap_closed=None,
    n_test=360,
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    plain = export_pipeline(_study(_records(evidence=True)))
    path = tmp_path / "deep" / "pipeline.yaml"
    pipeline_file.write(path, plain)
    read = pipeline_file.read(path)
    assert read.to_plain() == plain
    written = to_plain(read.spec)
    assert read.epochs == 50
    assert (written["losses"]["kd"]["temperature"], written["optimizer"]["learning_rate"]) == (3.3, 0.04)


def test_the_file_says_which_metric_the_study_was_about() -> None:
    study = _study(_records(evidence=True), Objective(("log_loss", "params")))
    plain = export_pipeline(study)
    assert plain["objective"] == "log_loss" and pipeline_file.parse(plain, "here").objective == "log_loss"
    assert pipeline_file.parse({**plain, "objective": None, "provenance": None}, "here").objective == "accuracy"


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "log_loss"])
def test_an_older_file_is_about_the_metric_of_its_evidence(metric: str) -> None:
    records = _records(evidence=True)
    records.claims[-1] = dataclasses.replace(records.claims[-1], metric=metric)
    plain = {key: value for key, value in export_pipeline(_study(records)).items() if key != "objective"}
    assert pipeline_file.parse(plain, "here").objective == metric


def test_the_recommended_pipeline_comes_with_its_evidence() -> None:
    plain = export_pipeline(_study(_records(evidence=True)))
    provenance = plain["provenance"]
    assert plain["pipeline"]["optimizer"]["learning_rate"] == 0.04  # the tuned one, not the trial's 0.02
    assert plain["train"] == {"epochs": 50, "seed": derive(7, "train", 1) % 2**31}
    assert (provenance["study"], provenance["trial"], provenance["note"]) == ("mine", 1, None)
    assert provenance["arm"] == "pick"
    assert provenance["evidence"] == {
        "text": "better by 5.0 points",
        "basis": "fresh seeds",
        "epochs": 27,
        "seeds": [11, 12],
        "test_accuracy": {"pick": [0.95, 0.96], "alone": [0.9, 0.91], "teacher": 0.99},
        "prediction_interval": [0.93, 0.98],
        "n_test": 360,
    }
    assert (plain["data_fingerprint"], plain["teacher_fingerprint"]) == ("d1", "t1")


def test_full_training_takes_the_data_and_the_teacher_that_a_short_search_did_without() -> None:
    study = _study(_records(evidence=True))
    study.settings.identity.data.reference["limit_train"] = 500
    asked = export_pipeline(study)
    assert asked["data"]["limit_train"] == 500 and asked["teacher_fingerprint"] == "t1"  # the user's own choice stays
    plan = TimePlan(seconds=20.0, budget={}, limit_train=500, whole_data="all", teacher_epochs=40, reason="little time")
    _change(study, time_plan=plan)
    plain = export_pipeline(study)
    assert (plain["data"], plain["data_fingerprint"]) == ({"component": {"use": "digits"}, "seed": 0}, "all")
    assert (plain["teacher"], plain["teacher_fingerprint"]) == ({"use": "trained", "epochs": 40}, None)
    _change(study, time_plan=dataclasses.replace(plan, limit_train=None, whole_data=None, teacher_epochs=4))
    assert export_pipeline(study)["teacher_fingerprint"] == "t1"


@pytest.mark.parametrize(
    ("number", "evidence", "rate", "note"),
    [
        (None, False, 0.02, "no evidence: the best trial so far"),
        (1, True, 0.02, "no evidence: the trial as it was drawn"),
        (2, True, 0.03, "no evidence: the trial failed (the loss became nan)"),
    ],
)
def test_a_pipeline_that_was_not_claimed_says_so(number: int | None, evidence: bool, rate: float, note: str) -> None:
    plain = export_pipeline(_study(_records(evidence=evidence)), number)
    assert plain["pipeline"]["optimizer"]["learning_rate"] == pytest.approx(rate)
    assert plain["provenance"]["evidence"] is None
    assert plain["provenance"]["note"].startswith(note)


def test_trials_that_are_not_there() -> None:
    with pytest.raises(StudyError, match="no trial 9; it has 0 to 2"):
        export_pipeline(_study(_records()), 9)
    with pytest.raises(NothingFeasible, match="no trial has finished"):
        export_pipeline(_study(Records()))


def test_an_arm_is_exported_as_it_was_claimed() -> None:
    plain = export_pipeline(_study(_records(evidence=True)), arm="alone")
    provenance = plain["provenance"]
    assert plain["pipeline"]["optimizer"]["learning_rate"] == 0.05
    assert (provenance["trial"], provenance["arm"], provenance["note"]) == (1, "alone", None)
    assert provenance["evidence"]["text"] == "the recommended student is better by 5.0 points"
    assert provenance["evidence"]["test_accuracy"]["alone"] == [0.9, 0.91]
    assert "prediction_interval" not in provenance["evidence"]  # it is that of the recommended student


@pytest.mark.parametrize(
    ("evidence", "chosen", "message"),
    [
        (True, {"arm": "kd"}, "study mine has no arm 'kd'; it has pick, alone"),
        (False, {"arm": "kd"}, "study mine has no claim yet, so it has no arm 'kd'; --trial exports a trial"),
        (True, {"arm": "kd", "trial": 1}, "--trial 1 and --arm kd are two pipelines; give one of the two"),
    ],
)
def test_an_arm_that_cannot_be_exported(evidence: bool, chosen: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError) as caught:
        export_pipeline(_study(_records(evidence=evidence)), **chosen)
    assert str(caught.value) == message


def test_all_mistakes_are_shown_at_once_with_their_paths(tmp_path: Path) -> None:
    plain = export_pipeline(_study(_records()))
    plain["pipelin"] = 1
    plain["data"] = "digits"
    plain["train"] = {"epochs": 0, "seeds": 3}
    plain["pipeline"]["losses"]["kd"] |= {"temperatur": 2.0, "weight": "heavy"}
    plain["pipeline"]["student"] = {"use": "cnm"}
    plain["pipeline"]["batch_size"] = "many"
    del plain["pipeline"]["schedule"]
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump(plain))
    with pytest.raises(BundleError) as caught:
        pipeline_file.read(path)
    head, *lines = str(caught.value).splitlines()
    assert head == f"{path}: 10 mistake(s)"
    assert sorted(line.split(":")[0].strip() for line in lines) == [
        "data",
        "pipelin",
        "pipeline.batch_size",
        "pipeline.losses.kd.temperatur",
        "pipeline.losses.kd.weight",
        "pipeline.schedule",
        "pipeline.student.use",
        "train.epochs",
        "train.seed",
        "train.seeds",
    ]
    assert "did you mean 'temperature'?" in str(caught.value)
    assert "did you mean 'cnn'?" in str(caught.value)


def test_numbers_that_yaml_reads_as_text_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    pipeline_file.write(path, export_pipeline(_study(_records())))
    text = path.read_text()
    assert "learning_rate: 0.02\n" in text
    path.write_text(text.replace("learning_rate: 0.02\n", "learning_rate: 2e-2\n"))
    assert to_plain(pipeline_file.read(path).spec)["optimizer"]["learning_rate"] == 0.02


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read .*No such file"),
        (b"a: [1", "is not YAML"),
        (b"\xff\xfe\x00", "is not YAML"),
        (b"a: 1", "is not a pipeline file"),
        (b"- 1", "is not a pipeline file"),
        (b"format: 2", "has format 2; this version of autokd reads format 1"),
        (b"!!python/object/apply:os.getcwd []", "is not YAML"),
    ],
)
def test_a_file_that_is_none_is_one_clear_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "pipeline.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BundleError, match=message) as caught:
        pipeline_file.read(path)
    assert "\n" not in str(caught.value)
