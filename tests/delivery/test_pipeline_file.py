"""Tests of `autokd.delivery.pipeline_file`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from autokd.delivery import pipeline_file
from autokd.delivery.export import export_pipeline
from autokd.errors import BundleError, ComponentError, NothingFeasible, StudyError
from autokd.objective import ACCURACY, Objective
from autokd.seeds import derive
from autokd.spec import PipelineSpec, from_plain, make, problems, to_plain
from autokd.study.records import Records, RungRecord, TrialRecord


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
    settings = {
        "identity": {
            "data": {"reference": {"component": {"use": "digits"}, "seed": 0}, "fingerprint": "d1"},
            "teacher": {"reference": {"use": "trained", "epochs": 4}, "fingerprint": "t1"},
            "budget": {"train_epochs": 50},
            "seed": 7,
        },
        "versions": {"autokd": "0.1.0", "torch": "2.6", "optuna": "5.0"},
    }
    finished = [trial for trial in records.trials.values() if trial.rungs]
    best = max(finished, key=lambda trial: trial.rungs[-1].score, default=None)
    return SimpleNamespace(name="mine", settings=settings, records=records, best=best, objective=objective)


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
        records.evidence.append(
            {
                "trial": 1,
                "pipeline": _pipeline(0.04),
                "epochs": 27,
                "seeds": [11, 12],
                "arms": {"recommended": {"test": [0.95, 0.96]}, "ce": {"test": [0.9, 0.91]}},
                "teacher": {"validation": 0.98, "test": 0.99},
                "comparisons": {"ce": {"text": "better by 5.0 points"}},
                "prediction_interval": [0.93, 0.98],
                "n_test": 360,
            }
        )
    return records


def test_what_is_written_is_read(tmp_path: Path) -> None:
    plain = export_pipeline(_study(_records(evidence=True)))
    path = tmp_path / "deep" / "pipeline.yaml"
    pipeline_file.write(path, plain)
    read = pipeline_file.read(path)
    assert read.to_plain() == plain
    assert (read.epochs, read.spec.losses["kd"].temperature, read.spec.optimizer.learning_rate) == (50, 3.3, 0.04)


def test_the_file_says_which_metric_the_study_was_about() -> None:
    study = _study(_records(evidence=True), Objective(("log_loss", "params")))
    plain = export_pipeline(study)
    assert plain["objective"] == "log_loss" and pipeline_file.parse(plain, "here").objective == "log_loss"
    assert pipeline_file.parse({**plain, "objective": None, "provenance": None}, "here").objective == "accuracy"


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "log_loss"])
def test_an_older_file_is_about_the_metric_of_its_evidence(metric: str) -> None:
    records = _records(evidence=True)
    records.evidence[-1]["metric"] = metric
    plain = {key: value for key, value in export_pipeline(_study(records)).items() if key != "objective"}
    assert pipeline_file.parse(plain, "here").objective == metric


def test_the_recommended_pipeline_comes_with_its_evidence() -> None:
    plain = export_pipeline(_study(_records(evidence=True)))
    provenance = plain["provenance"]
    assert plain["pipeline"]["optimizer"]["learning_rate"] == 0.04  # the tuned one, not the trial's 0.02
    assert plain["train"] == {"epochs": 50, "seed": derive(7, "train", 1) % 2**31}
    assert (provenance["study"], provenance["trial"], provenance["note"]) == ("mine", 1, None)
    assert provenance["evidence"] == {
        "text": "better by 5.0 points",
        "epochs": 27,
        "seeds": [11, 12],
        "test_accuracy": {"recommended": [0.95, 0.96], "ce": [0.9, 0.91], "teacher": 0.99},
        "prediction_interval": [0.93, 0.98],
        "n_test": 360,
    }
    assert (plain["data_fingerprint"], plain["teacher_fingerprint"]) == ("d1", "t1")


def test_full_training_takes_the_data_and_the_teacher_that_a_short_search_did_without() -> None:
    study = _study(_records(evidence=True))
    study.settings["identity"]["data"]["reference"]["limit_train"] = 500
    asked = export_pipeline(study)
    assert asked["data"]["limit_train"] == 500 and asked["teacher_fingerprint"] == "t1"  # the user's own choice stays
    study.settings["time_plan"] = {"limit_train": 500, "whole_data": "all", "teacher_epochs": 40}
    plain = export_pipeline(study)
    assert (plain["data"], plain["data_fingerprint"]) == ({"component": {"use": "digits"}, "seed": 0}, "all")
    assert (plain["teacher"], plain["teacher_fingerprint"]) == ({"use": "trained", "epochs": 40}, None)
    study.settings["time_plan"] = {"limit_train": None, "whole_data": None, "teacher_epochs": 4}
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


def test_a_pipeline_file_without_a_head_has_the_plain_one(tmp_path: Path) -> None:
    plain = export_pipeline(_study(_records()))
    path = tmp_path / "pipeline.yaml"
    pipeline_file.write(path, {**plain, "pipeline": {k: v for k, v in plain["pipeline"].items() if k != "head"}})
    assert pipeline_file.read(path).to_plain() == plain and plain["pipeline"]["head"] == {"use": "plain"}


def test_a_pipeline_is_judged_alike_wherever_it_is_read() -> None:
    """What the file says of its pipeline is what `spec.problems` says, and `spec.from_plain` refuses."""
    plain = export_pipeline(_study(_records()))
    plain["pipeline"] |= {"studnt": {}, "student": {"use": ["cnn"]}, "batch_size": 10**400, "schedule": "cosine"}
    plain["pipeline"]["optimizer"] |= {"learning_rate": 10**400}
    mistakes = problems(plain["pipeline"])
    assert [line.partition(":")[0] for line in mistakes] == [
        *("studnt", "student.use", "optimizer.learning_rate", "schedule", "batch_size"),
    ]
    with pytest.raises(BundleError) as caught:
        pipeline_file.parse(plain, "mine.yaml")
    assert str(caught.value).splitlines() == ["mine.yaml: 5 mistake(s)", *(f"  pipeline.{line}" for line in mistakes)]
    with pytest.raises(ComponentError) as refused:
        from_plain(plain["pipeline"])
    assert str(refused.value).splitlines() == ["the pipeline has 5 mistakes", *(f"  {line}" for line in mistakes)]


def test_numbers_that_yaml_reads_as_text_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    pipeline_file.write(path, export_pipeline(_study(_records())))
    text = path.read_text()
    assert "learning_rate: 0.02\n" in text
    path.write_text(text.replace("learning_rate: 0.02\n", "learning_rate: 2e-2\n"))
    assert pipeline_file.read(path).spec.optimizer.learning_rate == 0.02


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
