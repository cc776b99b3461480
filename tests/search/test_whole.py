"""Whole searches on real digits: repeated, killed, with losses that misbehave, under a time limit."""

from __future__ import annotations

import json
import logging
import os
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch

import autokd
from autokd import catalog
from autokd.errors import NothingFeasible, StudyError
from autokd.search.confirm.claim import evidence_of
from autokd.search.confirm.seeds import claims_on_same_seeds
from autokd.search.request import Progress
from autokd.study.records import Records
from tests.processes import Process
from tests.search.plugins import plugin
from tests.search.processes import ended, records_in, release, started, started_anew, started_held
from tests.search.records import comparable
from tests.search.spaces import SPACE, UNSCREENED

OPTIONS: dict[str, Any] = {"dataset": "digits", "limit_train": 64, "device": "cpu", "seed": 3}
SEARCH = """
import sys
import autokd
autokd.search("digits", limit_train=64, device="cpu", seed=3, space=sys.argv[1], study="mine",
              studies_dir=sys.argv[2] + "/studies", reports_dir=sys.argv[2] + "/reports")
"""
TRIALS = 12


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("space") / "tiny.yaml"
    path.write_text(SPACE.replace("trials: 8", f"trials: {TRIALS}"))
    return path


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with runs of one epoch and one finalist, where it does not matter what is found."""
    path = tmp_path_factory.mktemp("space") / "short.yaml"
    text = UNSCREENED.replace(
        "epochs: 4, rungs: 3, eta: 2, finalists: 2, select_seeds: 2", "epochs: 1, rungs: 1, finalists: 1"
    )
    assert text != UNSCREENED
    path.write_text(text)
    return path


def search(folder: Path, space: Path, **options: Any) -> autokd.Study:
    """Search in this process."""
    given = {**OPTIONS, "space": space, "study": "mine", **options}
    return autokd.search(**given, studies_dir=folder / "studies", reports_dir=folder / "reports")


def searching(folder: Path, space: Path) -> Process:
    """Start the same search in a process of its own, from Python."""
    return started(folder, space, str(folder), code=SEARCH)


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory, space: Path) -> tuple[Path, Records, Records]:
    """The same search in two processes at once; the folder is the first one's."""
    folder, other = (tmp_path_factory.mktemp(name) for name in ("twin", "other_twin"))
    one = searching(folder, space)
    two = started_anew(other, space, str(other), code=SEARCH, PYTHONHASHSEED="7")  # its sets have another order
    return folder, ended(folder, one), ended(other, two)


@pytest.mark.slow
def test_two_processes_search_the_same(twins: tuple[Path, Records, Records]) -> None:
    _, first, second = twins
    one, other = comparable(first), comparable(second)
    assert [t.rungs for t in one["trials"]] == [t.rungs for t in other["trials"]]
    assert one == other
    sources = [t.source for t in one["trials"]]
    assert len(sources) == TRIALS and {"recipe:alone", "recipe:kd", "design", "tpe"} <= set(sources)
    assert sum(len(t.rungs) == 3 for t in one["trials"]) >= 3
    curve = [line["epoch"] for rung in one["trials"][0].rungs for line in rung.curve]
    assert curve == [1, 2, 3, 4]


def kill_after(folder: Path, space: Path, event: str, count: int) -> None:
    """Search until the records hold so many events of a kind, and kill it within a rung."""
    process = started_held(folder, space, str(folder), event=event, count=count, code=SEARCH)
    process.kill()
    process.wait()
    release(folder)


@pytest.mark.slow
def test_a_search_killed_in_explore_and_in_confirm_ends_as_if_undisturbed(
    twins: tuple[Path, Records, Records], space: Path, tmp_path: Path
) -> None:
    kill_after(tmp_path, space, "rung", 6)
    cut = records_in(tmp_path)
    assert sum(len(t.rungs) for t in cut.trials.values()) >= 6 and len(cut.trials) < TRIALS and not cut.runs
    kill_after(tmp_path, space, "run", 4)
    cut = records_in(tmp_path)
    assert len(cut.trials) == TRIALS and len(cut.runs) >= 4 and not cut.claims
    done = search(tmp_path, space)
    assert comparable(done.store.records) == comparable(twins[1])
    assert done.store.finished and (done.path / "best" / "student.safetensors").is_file() and done.report_path.is_file()
    assert len((done.path / "test_reads.jsonl").read_text().splitlines()) == 1
    assert not list((done.path / "trials").glob("*/*.tmp"))


@pytest.mark.slow
def test_a_finished_study_is_left_as_it_is_and_another_is_refused(
    twins: tuple[Path, Records, Records], space: Path
) -> None:
    folder, _, _ = twins
    before = comparable(records_in(folder))
    assert comparable(search(folder, space).store.records) == before
    with pytest.raises(StudyError, match=r"(?s)other settings.*seed: 3 in the study, 4 asked"):
        search(folder, space, seed=4)
    assert comparable(records_in(folder)) == before


@pytest.mark.slow
def test_a_study_continued_with_more_trials_makes_a_new_claim_on_fresh_seeds(short: Path, tmp_path: Path) -> None:
    first = search(tmp_path, short, trials=3)
    claim = first.recommendation
    bundle = (first.path / "best" / "pipeline.yaml").read_text()
    more = search(tmp_path, short, trials=6)
    assert claim is not None and more.recommendation is not None
    assert (claim.trials, more.recommendation.trials) == (3, 6) and more.recommendation.round == 1
    assert set(claim.used.seeds).isdisjoint(more.recommendation.used.seeds)
    assert (more.path / "best" / "pipeline.yaml").read_text() != bundle
    assert len((more.path / "test_reads.jsonl").read_text().splitlines()) == 2


WARM = """
warm_starts:
  - {losses: {ce: {weight: 1.0}, t_raises: {}}}
  - {losses: {ce: {weight: 1.0}, t_nan: {}}}
  - {losses: {ce: {weight: 1.0}, t_memory: {}}}
"""


@pytest.mark.slow
def test_trials_that_misbehave_are_recorded_and_the_search_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(SPACE.replace("hint: {}", "t_raises: {}, t_nan: {}, t_memory: {}") + WARM)
    with plugin():
        study = search(tmp_path, path, trials=9)
        frame = study.trials_dataframe()
    reasons = {
        "t_raises": "error: RuntimeError: this loss raises",
        "t_nan": "not_finite: the training loss became nan in epoch 1",
        "t_memory": "out_of_memory: this loss needs 80 GB",
    }
    bad = 0
    for _, row in frame.iterrows():
        losses = set(json.loads(row["pipeline"])["losses"])
        expected = {reason for name, reason in reasons.items() if name in losses}
        assert (row["state"] == "failed") == bool(expected)
        assert not expected or row["reason"] in expected
        bad += bool(expected)
    assert len(frame) == 9 and bad >= 3 and set(frame["reason"]) >= set(reasons.values())
    assert study.recommendation is not None and study.report_path.is_file()
    assert frame["source"].tolist()[2:5] == ["warm_start"] * 3
    assert "t_raises" in (study.path / "trials.jsonl").read_text()


def test_a_search_in_which_everything_fails_ends_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    text = SPACE.replace("sgd: {learning_rate: {float: [0.02, 0.5], log: true}}", "sgd: {learning_rate: 1.0e+30}")
    path.write_text(text.replace("    adamw: {learning_rate: {float: [2e-3, 5e-2], log: true}}\n", ""))
    with pytest.raises(NothingFeasible, match=r"no trial finished; reasons: .*the training loss became nan"):
        search(tmp_path, path, trials=4)
    assert all(t.failure for t in records_in(tmp_path).trials.values()) and len(records_in(tmp_path).trials) == 4


@pytest.mark.slow
def test_without_time_the_baselines_are_compared_and_the_search_can_go_on(short: Path, tmp_path: Path) -> None:
    study = search(tmp_path, short, time=1e-6)
    assert len(study.store.records.trials) == 2 and study.store.finished
    assert study.recommendation is not None and study.recommendation.trials == 2
    again = search(tmp_path, short, trials=4)
    assert len(again.store.records.trials) == 4 and again.store.finished
    assert again.store.records.claims[-1].round == 1


@pytest.mark.slow
def test_a_time_alone_decides_how_long_runs_are_and_how_many(space: Path, tmp_path: Path) -> None:
    limited = {**OPTIONS, "limit_train": None}
    study = autokd.search(
        **limited, space=space, study="mine", time=4, studies_dir=tmp_path / "studies", reports_dir=tmp_path / "reports"
    )
    settings = study.store.settings
    assert settings.time_plan is not None
    planned = {key: value for key, value in settings.time_plan.budget.items() if key != "trials"}
    assert settings.identity.budget.items() >= planned.items()
    assert settings.settings["trials"].origin == settings.settings["epochs"].origin == "the time"
    budget, claim = settings.identity.budget_of(len(study.store.records.trials)), study.recommendation
    assert claim is not None and claim.evidence == evidence_of(budget) and claim.epochs == budget.epochs
    reasons = {design.stage: design.reason for design in study.store.records.designs}
    seeded = "choose" if claims_on_same_seeds(budget) else "claim"
    assert (seeded in reasons) == bool(budget.claim_seeds)  # a slow machine leaves no time for a claim
    assert reasons.get(seeded, "as many as the time left bears").endswith("as many as the time left bears")
    assert study.store.finished and study.store.records.seconds["prepare"] > 0
    more = search(tmp_path, space, limit_train=None, trials=len(study.store.records.trials) + 2)  # the plan is kept
    assert len(more.store.records.claims) == 2


@pytest.mark.slow
def test_the_time_of_a_killed_session_counts(short: Path, tmp_path: Path) -> None:
    study = search(tmp_path, short, trials=2)
    path = study.path / "trials.jsonl"
    events = [json.loads(line) for line in path.read_text().splitlines()]
    long = [{**event, "seconds": 1e6} if event["event"] == "rung" else event for event in events]
    path.write_text("".join(json.dumps(event) + "\n" for event in long if event["event"] != "seconds"))
    assert len(search(tmp_path, short, trials=6, time=1e6).store.records.trials) == 2


@pytest.mark.slow
def test_studies_share_a_teacher(short: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []

    def notify(progress: Progress) -> None:
        seen.append((progress.stage, progress.done))

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOKD_CACHE", str(tmp_path / "cache"))
        first = search(tmp_path, short, trials=2, notify=notify)
        assert ("teacher", 1) in seen
        seen.clear()
        second = search(tmp_path, short, trials=2, study="other", notify=notify)
    assert not [done for stage, done in seen if stage == "teacher" and done] and ("confirm", 1) in seen
    facts = [study.store.settings.teacher for study in (first, second)]
    assert facts[0] is not None and facts[0] == facts[1] and facts[0].may_have_seen_validation is False


@pytest.mark.slow
def test_a_search_leaves_the_caller_alone(short: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002  # the state that must stay as it is
    random.seed(5)
    states = torch.get_rng_state(), str(np.random.get_state()), random.getstate()  # noqa: NPY002
    root, verbosity = logging.getLogger(), optuna.logging.get_verbosity()
    settings = torch.get_num_threads(), torch.get_default_dtype(), torch.get_default_device(), dict(os.environ)
    handlers = list(root.handlers), root.level, list(logging.getLogger("autokd").handlers)
    search(tmp_path, short, trials=4)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (str(np.random.get_state()), random.getstate()) == states[1:]  # noqa: NPY002
    assert settings == (
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.get_default_device(),
        dict(os.environ),
    )
    assert handlers == (list(root.handlers), root.level, list(logging.getLogger("autokd").handlers))
    assert optuna.logging.get_verbosity() == verbosity


@pytest.mark.slow
def test_a_student_that_a_proxy_cannot_judge_is_searched_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from dataclasses import dataclass\n"
        "from torch import nn\n"
        "from autokd.declarations import Student\n"
        "from autokd.types import IMAGE, Output\n"
        "class Linear(nn.Linear):\n"
        "    def forward(self, x):\n"
        "        return Output(super().forward(x.flatten(1)))\n"
        "@dataclass(frozen=True, kw_only=True)\n"
        "class Own:\n"
        "    declares = Student(name='own_linear', modalities=IMAGE)\n"
        "    def build(self, context):\n"
        "        return Linear(64, context.task.num_classes)\n"
    )
    catalog.load_plugins(tmp_path / "own.py")
    try:
        text = SPACE.replace("  one_of:\n    cnn:", "  one_of:\n    own_linear: {}\n    cnn:").replace(
            "hint: {}", "dkd: {}"
        )
        (tmp_path / "own.yaml").write_text(text)
        study = search(tmp_path, tmp_path / "own.yaml", trials=3)
    finally:
        del sys.modules["autokd_plugin_own"]
    rows = {row.student["use"]: row.proxies for row in study.store.records.screen}
    assert rows["own_linear"]["nwot"] is None and (rows["cnn"]["nwot"] or 0) > 0
    assert study.store.finished and study.report_path.is_file()
