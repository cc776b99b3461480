"""What an earlier version wrote still opens: studies, pipeline files and bundles of format 1, kept in `tests/old`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import autokd
from autokd.api import open_study
from autokd.cli.commands import run_command
from autokd.knowledge import learn

OLD = Path(__file__).parent / "old"
STUDIES = ("old-wine", "old-front")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with a copy of the old files."""
    shutil.copytree(OLD, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", STUDIES)
def test_an_old_study_opens_with_its_recommendation(name: str, here: Path) -> None:
    study = open_study(name)
    assert study.recommendation is not None
    assert len(study.trials_dataframe()) >= 5
    assert study.best is not None
    assert "finished" in repr(study)
    assert bool(study.front) == (name == "old-front")


@pytest.mark.parametrize("name", STUDIES)
def test_an_old_study_can_be_learnt(name: str, here: Path) -> None:
    learned = learn(open_study(name).store)
    assert learned.left_out == 0 and len(learned.card.runs) > 30
    assert learned.card.gains and learned.card.facts.class_counts == (46, 38, 30)


@pytest.mark.parametrize("name", STUDIES)
def test_an_old_study_has_a_report(name: str, here: Path) -> None:
    page = open_study(name).report()
    text = page.read_text(encoding="utf-8")
    assert ">use this<" in text and "The recommended pipeline" in text
    assert (page.parent / "evidence.csv").is_file()


@pytest.mark.parametrize("name", STUDIES)
def test_an_old_study_exports_the_pipeline_that_it_recommended(name: str, here: Path) -> None:
    plain = open_study(name).export()
    assert plain["provenance"]["evidence"] is not None
    assert plain["pipeline"]["student"]["use"] == "mlp"


def test_an_old_study_exports_what_the_old_version_exported(here: Path) -> None:
    from autokd.files import from_yaml

    then = from_yaml((here / "pipeline.yaml").read_text(encoding="utf-8"))
    now = open_study("old-wine").export()
    evidence = then["provenance"]["evidence"]
    today = {"recommended": "pick", "ce": "alone"}  # arms have other names since, and the file says which one it is
    evidence["basis"] = "fresh seeds"  # is said since there are others
    evidence["test_accuracy"] = {today.get(arm, arm): scores for arm, scores in evidence["test_accuracy"].items()}
    since = {"arm": "pick", "cost": now["provenance"]["cost"], "checks": now["provenance"]["checks"]}
    assert since["cost"]["params"] > 0 and all(line[0] in "✕▲" for line in since["checks"])
    assert {**now["provenance"], "date": None} == {**then["provenance"], "date": None, **since}
    assert {**now, "provenance": None} == {**then, "provenance": None, "objective": "accuracy"}


def test_the_commands_read_old_studies(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for command in (
        ["studies"],
        ["trials", "old-wine"],
        ["report", "old-front"],
        ["export", "old-front", "-o", "front.yaml"],
    ):
        assert run_command(command) == 0, capfd.readouterr().err


def test_an_old_pipeline_trains(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code = run_command(["train", "pipeline.yaml", "-o", "student", "--epochs", "1", "--quiet"])
    err = capfd.readouterr().err
    assert code == 0, err
    assert (here / "student" / "metrics.json").is_file()


def test_an_old_bundle_predicts(here: Path) -> None:
    student = autokd.load_student(here / "bundle")
    assert student.logits(torch.zeros(3, *student.task.input_shape)).shape == (3, 3)


def test_an_old_finished_training_is_not_trained_again(here: Path) -> None:
    metrics = autokd.train("pipeline.yaml", out="bundle")
    assert metrics["epochs"] == 3 and metrics["objective"] == "accuracy"


@pytest.mark.parametrize("name", STUDIES)
def test_reading_an_old_study_changes_nothing_in_it(name: str, here: Path) -> None:
    before = {path: path.read_bytes() for path in (here / "studies" / name).rglob("*") if path.is_file()}
    study = open_study(name)
    study.report()
    study.export()
    assert {path: path.read_bytes() for path in (here / "studies" / name).rglob("*") if path.is_file()} == before
