"""Searches over samples without labels: recipes that use them come early, baselines without a teacher do not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.datasets import load_digits

import autokd
from autokd.data import Dataset
from autokd.errors import StudyError
from autokd.recipes import portfolio
from autokd.search.confirm.tune import matched_arms
from autokd.space import Budget, for_data, for_unlabelled, parse
from autokd.spec import from_plain, replaced, to_plain
from autokd.types import Shapes
from tests.execution import forked
from tests.search.spaces import SPACE

SHORT = SPACE.replace("recipes: 2, epochs: 4, rungs: 3, eta: 2", "recipes: 4, epochs: 1, rungs: 1, noise_seeds: 0")


def test_the_space_searches_their_share_where_there_are_some(digits: Dataset) -> None:
    some = dataclasses.replace(digits.task, unlabelled=500)
    space, without = parse(SPACE).resolve(some, Shapes()), parse(SPACE).resolve(digits.task, Shapes())
    assert space.ranges().keys() - without.ranges().keys() == {"unlabelled"} and without.dropped == space.dropped
    draws = [space.sample(np.random.default_rng(seed), seed).plain for seed in range(40)]
    distils = ["kd" in plain["losses"] for plain in draws]
    assert [("unlabelled" in plain) for plain in draws] == distils and {*distils} == {True, False}
    assert {plain["unlabelled"] for plain in draws if "unlabelled" in plain} == {0.0, 0.25, 0.5, 0.75}
    assert all(space.params_of(plain) is not None for plain in draws)
    assert space.misfits({**space.default().plain, "unlabelled": 0.5}) == ["unlabelled: every loss reads labels"]

    named = parse(SPACE + "unlabelled: {choice: [0.0, 0.9]}\n")
    assert named.resolve(some, Shapes()).ranges()["unlabelled"].contains(0.9)
    *_, line = named.resolve(digits.task, Shapes()).dropped
    assert line == f"unlabelled: {digits.task.dataset} has no samples without labels; give some with --unlabelled"


def test_recipes_that_use_them_follow_kd_and_the_student_alone(digits: Dataset) -> None:
    some, offers = dataclasses.replace(digits.task, unlabelled=500), Shapes(((8, 4, 4),), 8, head=True)
    text = "head: {one_of: {plain: {}, simkd: {}}}\n" + SPACE.replace("hint: {}", "hint: {}, simkd: {}")
    spaces = [for_unlabelled(parse(text), task).resolve(task, offers) for task in (some, digits.task)]
    found = [portfolio(space, task, offers) for space, task in zip(spaces, (some, digits.task), strict=True)]
    names = [[recipe.rule.name for recipe in each.recipes] for each in found]
    ours = ["kd-unlabelled", "dho-unlabelled", "kd-unlabelled-adamw", "dho-unlabelled-adamw"]
    assert names[0][:6] == ["kd", "alone", *ours]
    assert names[1] == [name for name in names[0] if "unlabelled" not in name]
    assert [recipe.drawn.plain.get("unlabelled") for recipe in found[0].recipes[:4]] == [0.0, None, 0.5, 0.75]
    assert [recipe.drawn.plain["head"]["use"] for recipe in found[0].recipes[2:4]] == ["plain", "dho"]
    assert all(recipe.drawn.params is not None for recipe in found[0].recipes[:6])
    assert spaces[1].ranges().keys() == parse(text).resolve(digits.task, offers).ranges().keys()


def test_a_head_that_a_space_fixes_stays_alone(digits: Dataset) -> None:
    some = dataclasses.replace(digits.task, unlabelled=500)
    assert for_unlabelled(parse(SPACE), some).parts == parse(SPACE).parts


def test_matched_baselines_have_the_picks_with_a_teacher_and_none_without(digits: Dataset) -> None:
    space = parse(SPACE).resolve(dataclasses.replace(digits.task, unlabelled=500), Shapes())
    pick = replaced(from_plain(space.complete({"losses": {"kd": {"use": "kd", "weight": 3.0}}})), "unlabelled", 0.75)
    arms = {name: to_plain(spec) for name, spec in matched_arms(pick, has_teacher=True).items()}
    assert {name: arm.get("unlabelled") for name, arm in arms.items()} == {"pick": 0.75, "alone": None, "kd": 0.75}


def test_trainings_are_longer_with_them_up_to_a_bound(digits: Dataset) -> None:
    task = dataclasses.replace(digits.task, train_size=100)
    epochs = [for_data(Budget(), dataclasses.replace(task, unlabelled=many)).epochs for many in (0, 50, 300, 10_000)]
    assert epochs == [27, 40, 108, 108]


@pytest.mark.slow
def test_a_search_with_them_from_the_data_to_the_student(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autokd.execution.workers.subprocess", forked)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.yaml").write_text(SHORT)
    source = load_digits()
    images, labels = np.rint(source.images * (255 / 16)).astype(np.uint8), source.target
    asked: dict[str, Any] = {
        "dataset": (images[:240], labels[:240]),
        "space": "space.yaml",
        "study": "mine",
        "trials": 4,
    }
    study = autokd.search(**asked, unlabelled=images[240:700], workers=2, device="cpu", cold=True)
    trials = list(study.store.records.trials.values())
    assert [trial.source for trial in trials][:3] == ["recipe:kd", "recipe:alone", "recipe:kd-unlabelled"]
    assert not [trial.failure for trial in trials if trial.failure] and trials[2].pipeline["unlabelled"] == 0.5
    assert study.store.settings.data.card["unlabelled"]["samples"] == 460 == study.store.settings.data.task.unlabelled
    assert "460 samples to distil on" in study.report_path.read_text()
    with pytest.raises(StudyError, match="data"):
        autokd.search(**asked, device="cpu", cold=True)

    plain = study.export(trial=2)
    assert plain["pipeline"]["unlabelled"] == 0.5 and "unlabelled" in plain["data"]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**plain, "train": {**plain["train"], "epochs": 1}}))
    assert autokd.train("mine.yaml", out="student", device="cpu")["train_samples"] == 154
