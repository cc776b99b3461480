"""A claim's arms are an open list, and what is recommended is the claim's own word, wherever it is shown."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from autokd.api import Study, load_student, open_study, write_best
from autokd.cli.commands import run_command
from autokd.cli.console import claim as console
from autokd.data import load
from autokd.files import as_plain
from autokd.report import write
from autokd.report.sections.recommendation.facts import decide
from autokd.study.arms import ARM_KINDS
from autokd.study.claim import Arm, Claim
from autokd.study.records import RecordLog
from tests.report.conftest import arm_of, comparison
from tests.report.test_page import Page

Fabricate = Callable[..., Any]
OLD = Path(__file__).parents[1] / "old" / "studies"


def text_of(shown: Any) -> str:
    """What a command prints, in lines that are never broken."""
    file = io.StringIO()
    Console(file=file, width=1000, highlight=False).print(shown)
    return " ".join(file.getvalue().split())


def rows_of(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def replace_claim(store: Any, change: Callable[[Claim], Claim]) -> None:
    """Write another claim into the records, as the newest one."""
    store.log.append("claim", **as_plain(change(store.records.claims[-1]).to_plain()))


def with_more_arms(claim: Claim) -> Claim:
    """A claim that also has a recipe by hand, and an arm of a kind that this version does not know."""
    tests = {"hand": [0.92, 0.93, 0.94, 0.93, 0.92], "ensemble-2": [0.95, 0.95, 0.96, 0.95, 0.95]}
    kinds, cost = {"hand": "hand", "ensemble-2": "ensemble"}, {"params": 2000, "macs": 62_000}
    more = [
        arm_of(name, kinds[name], claim.used.pipeline, cost if name == "ensemble-2" else claim.used.cost, tests[name])
        for name in tests
    ]
    compared = {name: comparison(claim.used.test, test, name) for name, test in tests.items()}
    return dataclasses.replace(
        claim, arms=(*claim.arms, *more), comparisons={**claim.comparisons, **compared}, round=claim.round + 1
    )


def test_an_arm_more_shows_everywhere(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate()
    replace_claim(store, with_more_arms)
    assert "hand" in ARM_KINDS and "ensemble" not in ARM_KINDS
    titles = ["Search's pick (recommended)", "Plain KD", "Recipe by hand", "No teacher", "ensemble-2"]
    titles += ["Teacher", "Always the commonest class"]
    decision = decide(store)
    assert decision is not None and [row.title for row in decision.rows] == titles
    assert [name for name, _ in decision.comparisons] == [
        "plain KD", "training without a teacher", "the recipe by hand", "ensemble-2"
    ]  # fmt: skip

    study = Study(store, tmp_path / "reports")
    page = Page(write(store, tmp_path / "reports").read_text(encoding="utf-8"))
    assert "Recipe by hand" in page.words
    assert "ensemble-2 95.2 % [93.2, 97.2]" in page.words and "2,000 62 k" in page.words

    folder = tmp_path / "reports" / "demo"
    newest = [row for row in rows_of(folder, "evidence") if row["round"] == "1"]
    assert {row["arm"] for row in newest} == {"pick", "alone", "kd", "hand", "ensemble-2", "teacher"}
    assert {row["against"] for row in rows_of(folder, "comparisons")} == {"alone", "kd", "hand", "ensemble-2"}

    told = text_of(console.summary(study, as_json=False))
    assert "Recipe by hand" in told and "ensemble-2 │ 2,000 │ 62,000" in told
    assert "The same pipeline as the recipe by hand" in told
    document = json.loads(str(console.summary(study, as_json=True)))
    assert [arm["kind"] for arm in document["recommendation"]["arms"]] == ["pick", "alone", "kd", "hand", "ensemble"]

    assert set(study.export()["provenance"]["evidence"]["test_accuracy"]) == {row["arm"] for row in newest}
    exported = study.export(arm="ensemble-2")["provenance"]
    assert exported["arm"] == "ensemble-2" and exported["evidence"]["text"].startswith("the recommended student is ")


def test_what_was_left_early_is_not_shown_as_if_trained_to_the_end(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate()
    trial = next(t for t in store.records.trials.values() if len(t.rungs) == 1)
    pipeline, rung = trial.pipeline, trial.rungs[0]

    def left_early(claim: Claim) -> Claim:
        arms = [
            dataclasses.replace(arm, runs={}, pipeline=pipeline) if arm.kind == "alone" else arm for arm in claim.arms
        ]
        return dataclasses.replace(claim, arms=tuple(arms), round=claim.round + 1)

    replace_claim(store, left_early)
    decision = decide(store)
    assert decision is not None
    [row] = [row for row in decision.rows if row.title == "No teacher"]
    assert row.validation == [] and row.early == (pytest.approx(rung.score), rung.epochs)
    said = f"after {rung.epochs} epoch{'s' * (rung.epochs > 1)} {100 * rung.score:.1f}"
    assert said in text_of(console.summary(Study(store, tmp_path / "reports"), as_json=False))
    assert said in Page(write(store, tmp_path / "reports").read_text(encoding="utf-8")).words


def test_what_is_said_of_all_arms_is_said_of_all_arms_only(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate()
    before = Page(write(store, tmp_path).read_text(encoding="utf-8")).words
    assert "All students are the same network; the learning rate was tuned over the same grid" in before

    def with_another_student(claim: Claim) -> Claim:
        wider = with_more_arms(claim)
        pipeline = {**claim.used.pipeline, "student": {"use": "cnn", "width": 99}}
        arms = [dataclasses.replace(arm, pipeline=pipeline) if arm.name == "hand" else arm for arm in wider.arms]
        return dataclasses.replace(wider, arms=tuple(arms), round=0)

    replace_claim(store, with_another_student)
    words = Page(write(store, tmp_path).read_text(encoding="utf-8")).words
    assert "All students are the same network" not in words
    assert "The learning rate was tuned over the same grid for every arm but the recipe by hand." in words


def alone_is_recommended(claim: Claim) -> Claim:
    """The same claim, whose recommendation is the student alone."""
    pick, alone = claim.used, claim.alone
    assert alone is not None
    return dataclasses.replace(
        claim,
        use="alone",
        comparators=("pick",),
        comparisons={"pick": comparison(alone.test, pick.test, "the search's pick")},
    )


def test_whatever_is_shown_follows_the_claims_own_word(fabricate: Fabricate, tmp_path: Path) -> None:
    store = fabricate(gain=0.02)
    replace_claim(store, alone_is_recommended)
    study = Study(store, tmp_path)
    page = write(store, tmp_path).read_text(encoding="utf-8")
    words = Page(page).words
    headline = "Train the student on labels alone: fixed on validation; test favours the search's pick"
    assert headline in words and f"{headline}." in text_of(console.summary(study, as_json=False))
    assert 'No teacher<span class="use">use this</span>' in page
    rows = decide(store).rows  # type: ignore[union-attr]
    assert [(row.title, row.recommended) for row in rows[:2]] == [
        ("No teacher (recommended)", True), ("Search's pick", False)
    ]  # fmt: skip
    assert list(study.export()["pipeline"]["losses"]) == ["ce"]
    assert study.export()["provenance"]["arm"] == "alone"
    assert "Recommended (training without a teacher): " in text_of(console.summary(study, as_json=False))


@pytest.fixture
def old_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A copy of a study that an earlier version wrote, with its students, in the current folder."""
    shutil.copytree(OLD / "old-wine", tmp_path / "studies" / "old-wine")
    monkeypatch.chdir(tmp_path)
    return open_study("old-wine")


def pipeline_of(folder: Path) -> dict[str, Any]:
    from autokd.files import from_yaml

    plain: dict[str, Any] = from_yaml((folder / "pipeline.yaml").read_text(encoding="utf-8"))
    return plain


def test_the_best_bundle_and_the_exported_file_are_those_of_the_recommended_arm(
    old_study: Study, capfd: pytest.CaptureFixture[str]
) -> None:
    log = RecordLog(old_study.path / "trials.jsonl")
    claim = log.records.claims[-1]
    log.append("claim", **as_plain(alone_is_recommended(claim).to_plain()))
    shutil.rmtree(old_study.path / "best")
    study = open_study("old-wine")
    write_best(study.store, load("wine"))
    alone = claim.alone
    assert alone is not None
    bundle = pipeline_of(study.path / "best")
    assert bundle["pipeline"] == study.export()["pipeline"] == dict(alone.pipeline)
    assert bundle["provenance"]["arm"] == "alone" and load_student(study.path / "best").classes
    assert json.loads((study.path / "best" / "metrics.json").read_text())["test"]["accuracy"] == pytest.approx(
        dict(zip(alone.validation, alone.test, strict=True))[max(alone.validation)]
    )
    assert run_command(["studies"]) == 0 and "Train the student on labels alone" in " ".join(
        capfd.readouterr()[0].split()
    )
    assert run_command(["export", "old-wine", "-o", "pipeline.yaml"]) == 0
    assert pipeline_of(Path())["pipeline"] == dict(alone.pipeline)


def test_the_best_bundle_of_an_old_study_is_written_again(old_study: Study) -> None:
    """Its students lie in files that are named after arms as they were called then."""
    then = {path.name: path.read_bytes() for path in (old_study.path / "best").iterdir()}
    shutil.rmtree(old_study.path / "best")
    write_best(old_study.store, load("wine"))
    assert (old_study.path / "best" / "student.safetensors").read_bytes() == then["student.safetensors"]


def test_the_command_exports_an_arm_or_says_in_one_line_what_there_is(
    old_study: Study, capfd: pytest.CaptureFixture[str]
) -> None:
    arms: tuple[Arm, ...] = old_study.recommendation.arms if old_study.recommendation else ()
    for arm in arms:
        assert run_command(["export", "old-wine", "--arm", arm.name, "-o", "pipeline.yaml", "--overwrite"]) == 0
        assert pipeline_of(Path())["pipeline"] == dict(arm.pipeline)
    capfd.readouterr()
    for options, message in (
        (["--arm", "ce"], "error: study old-wine has no arm 'ce'; it has pick, kd, alone\n"),
        (["--arm", "kd", "--trial", "1"], "error: --trial 1 and --arm kd are two pipelines; give one of the two\n"),
    ):
        assert run_command(["export", "old-wine", *options]) == 2
        assert capfd.readouterr() == ("", message)
