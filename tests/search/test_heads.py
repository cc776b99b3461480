"""Searches over the head: it counts in the budget, in the records and in the claim; the baselines have none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autokd
from autokd.data import DataOptions, Dataset, load
from autokd.networks import cost
from autokd.search.confirm.tune import matched_arms
from autokd.search.limits import feasible, pipeline_cost
from autokd.spec import from_plain, to_plain
from autokd.types import Shapes
from tests.search.spaces import UNSCREENED, context, resolved
from tests.search.stages import explorer

WITH_HEAD = "head: {one_of: {plain: {}, simkd: {factor: {choice: [2, 8]}}}}" + UNSCREENED.replace(
    "hint: {}", "hint: {}, simkd: {}"
)
MANY = WITH_HEAD.replace("params: 4000", "params: 20e3")
# The recipes by hand are at these rates, at which they learn next to nothing.
ONLY = (
    MANY.replace("plain: {}, ", "")
    .replace("[0.02, 0.5]", "[1.0e-6, 1.0e-5]")
    .replace("teacher_epochs: 2", "teacher_epochs: 12")
    .replace("recipes: 2, epochs: 4, rungs: 3", "recipes: 2, epochs: 8, rungs: 2")
    .replace("finalists: 2, select_seeds: 2", "finalists: 1, select_seeds: 1")
    + """
warm_starts:
  - {head: {use: simkd, factor: 8}, losses: {simkd: {weight: 3.0}}, optimizer: {use: adamw, learning_rate: 2.0e-2}}
"""
)


def search(folder: Path, text: str, trials: int, *, rows: int = 64) -> autokd.Study:
    path = folder / "space.yaml"
    path.write_text(text)
    places: dict[str, Any] = {"studies_dir": folder / "studies", "reports_dir": folder / "reports"}
    return autokd.search(
        "digits", limit_train=rows, device="cpu", seed=3, space=path, study="mine", trials=trials, **places
    )


def offers(digits: Dataset) -> Shapes:
    teacher = context(digits).teacher
    assert teacher is not None
    return teacher.offers


def heads(plains: Iterable[Mapping[str, Any]]) -> list[str]:
    return [plain["head"]["use"] for plain in plains]


def test_only_students_that_fit_with_their_head_are_tried(digits: Dataset, tmp_path: Path) -> None:
    space, teacher = resolved(digits, WITH_HEAD, max_params=2500), offers(digits)
    drawn = [space.sample(np.random.default_rng(number), number).plain for number in range(60)]
    fits = [plain for plain in drawn if feasible(plain["student"], digits.task, space.constraints)]
    too_large = [plain for plain in fits if pipeline_cost(plain, digits.task, teacher).params > 2500]
    assert too_large and set(heads(too_large)) == {"simkd"}
    made = explorer(tmp_path, space, digits.task, offers=teacher, recipes={})
    made.run(20, lambda seconds: True, lambda: None)
    trials = list(made.log.records.trials.values())
    assert len(trials) == 20 and {t.pipeline["head"]["use"] for t in trials} == {"plain", "simkd"}
    for trial in trials:
        assert trial.cost == pipeline_cost(trial.pipeline, digits.task, teacher)._asdict()
        assert trial.cost["params"] <= 2500


def test_where_no_head_fits_the_students_own_remains(digits: Dataset, tmp_path: Path) -> None:
    space = resolved(digits, WITH_HEAD, max_params=300)
    made = explorer(tmp_path, space, digits.task, offers=offers(digits))
    proposals = [made.proposer.propose(number) for number in range(8)]
    assert set(heads([proposal.drawn.plain for proposal in proposals if proposal is not None])) == {"plain"}
    assert None not in proposals


def test_the_matched_baselines_have_the_students_own_classifier(digits: Dataset) -> None:
    space = resolved(digits, WITH_HEAD)
    plain = space.complete({"head": {"use": "simkd", "factor": 8}})
    specs = matched_arms(from_plain(plain), has_teacher=True)
    arms = {name: to_plain(spec) for name, spec in specs.items()}
    assert heads(list(arms.values())) == ["simkd", "plain", "plain"]
    for name in ("alone", "kd"):
        rest = {"head", "losses"}
        assert {k: v for k, v in arms[name].items() if k not in rest} == {
            k: v for k, v in plain.items() if k not in rest
        }


@pytest.mark.slow
def test_a_search_over_heads_fails_nowhere_and_goes_on(tmp_path: Path) -> None:
    text = MANY.replace(
        "finalists: 2, select_seeds: 2, claim_seeds: 2", "finalists: 1, select_seeds: 1, claim_seeds: 0"
    )
    assert text != MANY
    first = list(search(tmp_path, text, 4).store.records.trials.values())
    trials = list(search(tmp_path, text, 8).store.records.trials.values())
    assert [t.pipeline for t in trials[:4]] == [t.pipeline for t in first]
    assert len(trials) == 8 and not [t.failure for t in trials if t.failure]
    assert {t.pipeline["head"]["use"] for t in trials} == {"plain", "simkd"}
    assert all(t.cost["params"] <= 20e3 for t in trials)


@pytest.mark.slow
def test_the_recommended_student_has_its_head_in_claim_bundle_and_export(tmp_path: Path) -> None:
    study = search(tmp_path, ONLY, 4, rows=96)
    claim = study.recommendation
    assert claim is not None
    found = {arm.name: arm.pipeline["head"]["use"] for arm in claim.arms}
    assert claim.use == "pick" and found.pop("pick") == "simkd"
    assert found.keys() >= {"alone", "kd"} and set(found.values()) == {"plain"}
    student = autokd.load_student(study.path / "best")
    counts = {"params": cost.params(student.network), "macs": cost.macs(student.network, student.task)}
    assert claim.used.cost == {**counts, "size": cost.size_bytes(student.network)}
    test = load("digits", DataOptions(limit_train=96, seed=3)).read_test()
    accuracy = float((student.logits(test.inputs).argmax(-1) == test.labels).double().mean())
    assert accuracy == json.loads((study.path / "best" / "metrics.json").read_text())["test"]["accuracy"] > 0.5
    assert from_plain(study.export()["pipeline"]).head == from_plain(claim.used.pipeline).head
    assert study.report_path.is_file()
